/* Where a model's steps end. For images that are built to be traced. */
#ifndef TERN_FIRMWARE_PROFILE_H
#define TERN_FIRMWARE_PROFILE_H

/* What a generated model calls behind every step: an address for who watches. */
void profile_step(void);
#define TERN_AFTER_OP(step) profile_step()

#endif
