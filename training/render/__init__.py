"""Renders posed CC0 heads with exact coefficients, flow, visibility and masks (OpenGL through EGL, software or GPU)."""
