# SPDX-License-Identifier: GPL-3.0-or-later
"""ToonCrafter: sixteen frames between two drawings, by a video diffusion model made for cartoons.

`pipeline` is the way in. `sizes` and `needs` can be read without torch; nothing here knows jobs,
alpha or the screen's size.

References:
* Xing, Liu, Xia, Zhang, Wang, Shan, Wong: ToonCrafter: Generative Cartoon Interpolation,
  SIGGRAPH Asia 2024 (arXiv 2405.17933).
* Doubiiu/ToonCrafter (https://github.com/Doubiiu/ToonCrafter, Apache-2.0): the published
  parameters.
"""
