"""The integer layers in C, for several levels of a CPU's vector instructions, and the calls to them from Python."""
