"""What the template and its service cost, measured side by side with a baseline: `make bench`."""
