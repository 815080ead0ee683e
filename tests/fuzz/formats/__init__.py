"""One module per family of formats; each lists its entries as `FORMATS`."""
