"""flap-sd15: FLAP at the widths of Stable Diffusion 1.5, so that its U-Net and AnimateDiff's motion modules load into it."""
