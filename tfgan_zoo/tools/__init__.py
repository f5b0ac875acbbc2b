"""Tools around a run: HTML report, demo page, benchmark."""
