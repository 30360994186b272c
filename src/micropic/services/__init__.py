"""What a process is: its HTTP application, its health, its log."""
