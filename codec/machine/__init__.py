"""Memory, threads, worker processes, devices and files of the machine that this runs on."""
