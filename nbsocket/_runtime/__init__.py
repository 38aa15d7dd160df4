"""What the process itself needs: clock, threads, signals, its end, and the genuine socket functions."""
