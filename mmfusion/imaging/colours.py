"""Colours of figures and structure sets; colour-blind readers can tell them apart (Okabe and Ito 2008)."""

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW = "#56B4E9", "#CC79A7", "#F0E442"
