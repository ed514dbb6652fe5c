"""A layer behind the extractor that makes its features independent of each other and equally strong."""

import torch
from torch import Tensor, nn

SHRINKAGE = 0.003  # times the mean variance, added to every direction so that mere noise is not blown up


def decorrelating(features: Tensor, count: int) -> nn.Linear:
    """The frozen linear layer that whitens ``features`` float32 [n, D] onto their ``count`` strongest directions.

    y = (v_k . (x - mean)) / sqrt(w_k + shrinkage), with w and v the eigenvalues and eigenvectors of the covariance
    (PCA whitening); at most D of them. Where all features tell one thing, a head that learns one new picture changes
    its mind about everything; where they are independent, only about pictures of the same look.
    """
    values = features.double()
    mean = values.mean(dim=0)
    covariance = torch.cov(values.T).reshape(values.shape[1], values.shape[1])
    strengths, directions = torch.linalg.eigh(covariance)  # rising
    kept = min(count, values.shape[1])
    strengths, directions = strengths[-kept:].flip(0).clamp(min=0), directions[:, -kept:].flip(1)
    # An eigenvector may point either way; the largest entry is made positive so that the bytes do not depend on it.
    largest = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
    directions = directions * largest.sign()
    matrix = (directions / (strengths + SHRINKAGE * covariance.diagonal().mean()).sqrt()).T
    layer = nn.Linear(values.shape[1], kept).requires_grad_(False)
    layer.weight.copy_(matrix)
    layer.bias.copy_(-matrix @ mean)
    return layer
