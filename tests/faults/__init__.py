"""Real faults on the real path: threads, descriptors, a pty, processes and loopback servers."""
