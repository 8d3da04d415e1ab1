"""Sound as samples and as spectrograms: files, resampling, windows, level. Knows no model."""
