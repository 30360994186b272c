"""What a preview is: values and rules, without I/O and without a clock."""
