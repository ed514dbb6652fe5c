"""What is measured, never asserted: every figure is printed with what it was measured on."""
