"""The parts of `examples/keyword_spotting.py`: recordings, features, network, and the C that ships with it."""
