"""What intercepting system calls costs, by each way that Linux offers: see README.md."""
