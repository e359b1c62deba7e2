"""The truth: what is shown, asked, answered, scored and audited. Plain functions of values; no Ray, no torch."""
