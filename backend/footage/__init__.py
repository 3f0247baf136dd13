# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of pictures on disk: found in folders, taken out of movies, written as what others play.

It knows files and pictures; it must not know jobs or engines.
"""
