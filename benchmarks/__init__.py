"""What measures speed. Figures are ratios against a baseline taken in the same run; absolute times mean little."""
