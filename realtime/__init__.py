"""The live server."""

import cv2

cv2.setNumThreads(1)  # pictures are small: a second thread costs as much processor time again and saves none
