/* How many instructions each step of a model takes. For images that are built with TERN_PROFILE_STEPS. */
#ifndef TERN_FIRMWARE_PROFILE_H
#define TERN_FIRMWARE_PROFILE_H

/* What a generated model calls behind every step. It reads the counter, which takes time itself: always the same. */
void profile_step(void);
#define TERN_AFTER_OP(step) profile_step()

/* Prints the readings. */
void profile_print(void);

#endif
