import warnings

import numpy as np
import pandas as pd
import pytest

from mmfusion.data.sources.radiogenomics import radiogenomics
from mmfusion.data.sources.tcga_luad import tcga_luad
from mmfusion.errors import DataError
from mmfusion.preprocessing import genes as module
from mmfusion.preprocessing.genes import AbsentGenesWarning, GeneTransformer, OutOfRangeWarning


def frame(values, unit="log", names=None):
    values = np.asarray(values, dtype=float)
    names = names or [f"G{j}" for j in range(values.shape[1])]
    table = pd.DataFrame(values, columns=names, index=[f"p{i:03d}" for i in range(len(values))])
    table.attrs["units"] = {"rna": unit} if unit else {}
    return table


@pytest.fixture
def log():
    rng = np.random.default_rng(0)
    return frame(rng.normal(6, rng.uniform(0.2, 2, 30), size=(50, 30)))


def test_golden_log():
    table = frame([[1, 10, 5], [2, 10, 7], [3, 10, 9], [np.nan, np.nan, np.nan]])
    fitted = GeneTransformer().fit(table)
    assert fitted.genes_ == ("G2", "G0")  # G1 is constant; G2 varies more
    np.testing.assert_allclose(fitted.mean_, [7, 2])
    np.testing.assert_allclose(fitted.std_, np.sqrt([8 / 3, 2 / 3]))
    z = np.sqrt(1.5)
    out = fitted.transform(table)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, [[-z, -z], [0, 0], [z, z], [0, 0]], rtol=1e-6, atol=1e-7)


def test_golden_tpm():
    table = frame([[0, 3], [1, 3], [3, 7], [3, 15]], "tpm")
    fitted = GeneTransformer().fit(table)
    assert fitted.genes_ == ("G0", "G1") and fitted.notes_ == ()
    np.testing.assert_allclose(fitted.mean_, [1.25, 2.75])  # of log2(x + 1) = 0, 1, 2, 2 and 2, 2, 3, 4


def test_golden_counts_per_million():
    table = frame([[1, 3], [2, 2], [3, 1]], "counts")
    fitted = GeneTransformer().fit(table)
    cpm = np.log2(np.array([250_000, 500_000, 750_000]) + 1)
    np.testing.assert_allclose(fitted.mean_, [cpm.mean()] * 2)
    assert "2 genes" in fitted.notes_[0]
    np.testing.assert_allclose(
        fitted.transform(table * 7), fitted.transform(table), atol=1e-6
    )  # depth does not matter


def test_fpkm_of_few_genes_is_not_tpm():
    rng = np.random.default_rng(1)
    fpkm = frame(rng.gamma(2, 5, (20, 30)), "fpkm")
    fitted = GeneTransformer().fit(fpkm)
    assert fitted.notes_ == ("30 genes are not a whole transcriptome: log2(FPKM + 1), not TPM",)
    np.testing.assert_array_equal(
        fitted.transform(fpkm), GeneTransformer().fit(as_unit(fpkm, "tpm")).transform(as_unit(fpkm, "tpm"))
    )


def as_unit(table, unit):
    table = table.copy()
    table.attrs["units"] = {"rna": unit}
    return table


def test_fpkm_of_a_transcriptome_becomes_tpm(monkeypatch):
    monkeypatch.setattr(module, "WHOLE", 30)
    rng = np.random.default_rng(1)
    fpkm = frame(rng.gamma(2, 5, (20, 30)) * rng.uniform(0.5, 2, (20, 1)), "fpkm")
    tpm = as_unit(fpkm.div(fpkm.sum(axis=1), axis=0) * 1e6, "tpm")
    one, two = GeneTransformer().fit(fpkm), GeneTransformer().fit(tpm)
    assert one.notes_ == () and one.genes_ == two.genes_
    np.testing.assert_allclose(one.transform(fpkm), two.transform(tpm), atol=1e-5)


def test_a_table_of_the_chosen_genes_alone_is_scaled_as_the_whole():
    rng = np.random.default_rng(2)
    share = rng.gamma(2, 5, 300)
    counts = frame(rng.poisson(share * rng.uniform(20, 40, (40, 1))), "counts")
    fitted = GeneTransformer(n_genes=100).fit(counts)
    with pytest.warns(AbsentGenesWarning, match="50 of 100 genes absent.*estimated from 50 of 300 genes"):
        part = fitted.transform(counts[list(fitted.genes_[:50])])
    error = part[:, :50] - fitted.transform(counts)[:, :50]
    assert np.abs(error).mean() < 0.25  # unscaled, all would be clipped at 5
    np.testing.assert_array_equal(part[:, 50:], 0)


def test_zeros_are_dropped_and_missing_counts_as_zero():
    rng = np.random.default_rng(3)
    values = rng.gamma(2, 5, (20, 4))
    values[:17, 1] = 0
    values[:17, 2] = np.nan
    values[:15, 3] = 0
    assert set(GeneTransformer().fit(frame(values, "tpm")).genes_) == {"G0", "G3"}


def test_ranks_by_dispersion_above_the_trend():
    rng = np.random.default_rng(4)
    mean = np.linspace(1, 12, 400)
    sd = 2.0 * np.exp(-mean / 6)  # low expression is noisy
    planted = np.arange(300, 340)
    sd[planted] *= 2
    fitted = GeneTransformer(n_genes=40).fit(frame(mean + sd * rng.normal(size=(150, 400))))
    hits = len(set(fitted.genes_) & {f"G{j}" for j in planted})
    by_variance = len(set(np.argsort(-sd)[:40]) & set(planted))
    assert hits >= 38 and by_variance == 0


def test_z_scores_are_ranked_by_communality():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(80, 300))
    values[:, :30] += 2 * rng.normal(size=(80, 1))
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    values[0, 200] = 7378.0  # as distributed
    fitted = GeneTransformer(n_genes=30).fit(frame(values, "zscore"))
    assert set(fitted.genes_) == {f"G{j}" for j in range(30)}
    assert "communality" in fitted.notes_[0]
    every = GeneTransformer(n_genes=None).fit(frame(values, "zscore"))
    assert len(every.genes_) == 300 and every.std_.max() < 1.3


def test_absurd_values_do_not_hide_a_gene():
    rng = np.random.default_rng(6)
    values = rng.normal(5, 1, (100, 3))
    values[7, 0] = 30.0  # 10^9, a lost decimal point
    fitted = GeneTransformer().fit(frame(values))
    assert fitted.std_[fitted.genes_.index("G0")] < 1.3
    assert fitted.transform(frame(values)).max() == 5.0


def test_single_missing_cells_are_the_mean(log):
    holed = log.copy()
    holed.iloc[3, 4] = np.nan
    fitted = GeneTransformer().fit(log)
    out = fitted.transform(holed)
    assert out[3, fitted.genes_.index("G4")] == 0
    np.testing.assert_array_equal(np.delete(out, 3, axis=0), np.delete(fitted.transform(log), 3, axis=0))


def test_absent_genes_are_reported(log):
    fitted = GeneTransformer(n_genes=20).fit(log)
    with pytest.warns(AbsentGenesWarning, match="5 of 20 genes absent"):
        out = fitted.transform(log.drop(columns=list(fitted.genes_[:5])))
    np.testing.assert_array_equal(out[:, :5], 0)
    np.testing.assert_array_equal(out[:, 5:], fitted.transform(log)[:, 5:])


@pytest.mark.parametrize(
    "lose", [lambda f, g: f.drop(columns=g), lambda f, g: f.assign(**dict.fromkeys(g, np.nan))]
)
def test_too_few_genes(log, lose):
    fitted = GeneTransformer(n_genes=20).fit(log)
    with pytest.raises(
        DataError, match=r"patient p000, column rna: too few of the model's genes.*at least 10%"
    ):
        fitted.transform(lose(log, list(fitted.genes_[:19])))


def test_order_of_columns_and_more_genes_do_not_matter(log):
    fitted = GeneTransformer(n_genes=20).fit(log)
    turned = GeneTransformer(n_genes=20).fit(log[log.columns[::-1]])
    assert turned.genes_ == fitted.genes_
    np.testing.assert_array_equal(
        fitted.transform(log.assign(NEW=1.0)[["NEW", *log.columns[::-1]]]), fitted.transform(log)
    )


def test_unit_of_the_table(log):
    fitted = GeneTransformer().fit(log)
    assert fitted.unit_ == "log"
    with pytest.raises(DataError, match=r"another unit of expression.*expected log; got tpm"):
        fitted.transform(as_unit(log, "tpm"))
    np.testing.assert_array_equal(
        fitted.transform(frame(log, None, list(log))), fitted.transform(log)
    )  # lost: the same
    with pytest.raises(DataError, match="in another unit"):
        GeneTransformer("tpm").fit(log)
    assert GeneTransformer("tpm").fit(frame(log.abs(), None)).unit_ == "tpm"
    with pytest.warns(UserWarning, match="unit of expression is not known"):
        assert GeneTransformer().fit(frame(log, None)).unit_ == "log"


def test_another_platform_gives_a_warning(log):
    fitted = GeneTransformer().fit(log)
    shifted = log.copy()
    shifted.loc["p001"] += 40
    with pytest.warns(OutOfRangeWarning, match="patient p001"):
        fitted.transform(shifted)


@pytest.mark.parametrize("unit", ["counts", "tpm", "fpkm"])
def test_negative_values(unit, log):
    bad = as_unit(log.abs(), unit)
    fitted = GeneTransformer().fit(bad)
    bad.iloc[2, 3] = -1.5
    for call in (fitted.transform, GeneTransformer().fit):
        with pytest.raises(DataError, match=rf"patient p002, column G3: not a value in {unit}.*got -1.5"):
            call(bad)


@pytest.mark.parametrize(
    ("change", "params", "match"),
    [
        (lambda f: f.assign(G3=np.inf), {}, "column G3: not a value"),
        (lambda f: f.assign(G3="high"), {}, "patient p000, column G3: not a number"),
        (lambda f: f * 0 + 3, {}, "no gene varies"),
        (lambda f: f, {"unit": "rpkm"}, "unknown unit"),
        (lambda f: f, {"n_genes": 0}, "too few genes asked for"),
    ],
)
def test_bad_input(log, change, params, match):
    with pytest.raises(DataError, match=match):
        GeneTransformer(**params).fit(change(log))


def test_real_z_scores(shared_data):
    cohort = tcga_luad(shared_data / "tcga", clip=None)  # up to 7,378
    rna = cohort.X["rna"]
    fitted = GeneTransformer(n_genes=500).fit(rna)
    out = fitted.transform(rna)
    assert out.shape == (len(cohort), 500) and np.abs(out).max() == 5
    present = fitted.present(rna)
    assert not out[~present].any() and np.abs(out[present].mean(axis=0)).max() < 0.1


def test_real_fpkm(shared_data):
    rna = radiogenomics(shared_data / "nsclc_radiogenomics", rna="fpkm140").X["rna"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = GeneTransformer().fit(rna)
        out = fitted.transform(rna)
    assert "not a whole transcriptome" in fitted.notes_[0] and fitted.unit_ == "fpkm"
    assert len(fitted.genes_) > 100 and out[fitted.present(rna)].std() == pytest.approx(1, abs=0.05)
