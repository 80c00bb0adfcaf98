"""FLAP: portrait animation by diffusion, conditioned on 3D head coefficients.

Importing this package needs numpy alone; the networks in it need the `training` extra.
"""
