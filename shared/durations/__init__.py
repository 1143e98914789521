"""Records become connections: what each commit saw, what the timer makes of it, what is finished."""
