# SPDX-License-Identifier: GPL-3.0-or-later
"""Learned cinemagraphs: networks that guess how a still flows, and one that draws it flowing.

`pipeline` is the way in. `sizes` can be read without torch; nothing here knows jobs or alpha.

References:
* Mahapatra, Siarohin, Lee, Tulyakov, Zhu: Text-Guided Synthesis of Eulerian Cinemagraphs,
  SIGGRAPH Asia 2023 (arXiv 2307.03190); https://github.com/text2cinemagraph/text2cinemagraph (MIT):
  the published parameters of all three networks.
* Holynski, Curless, Seitz, Szeliski: Animating Pictures with Eulerian Motion Fields, CVPR 2021.
* Li, Cao, Sun, Zhang, Xian, Lin, Zheng: 3D Cinemagraphy from a Single Image, CVPR 2023;
  https://github.com/xingyi-li/3d-cinemagraphy (Apache-2.0): other parameters of the hinted network.
"""
