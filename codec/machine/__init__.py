"""What this machine gives: memory, threads, processes, a device."""
