# %% [markdown]
# # Staging of patients
#
# Each patient has a section with the predicted stage, the probability of each stage, the stages that cannot
# be excluded, the inputs with the largest influence, and warnings. In a map of a scan, the brightness is
# relative to the strongest place of this patient. It does not say how strong the effect is.

# %% tags=["parameters"]
cohort: str = "demo"  # patients to stage: demo, radiogenomics, lung1, tcga_luad, or a manifest
data_root: str = ""  # folder of the cohort's files; empty for the demo, or for a manifest beside its files
target: str = ""  # named target; empty for the cohort's own
model: str = ""  # a saved model; empty: fit one on the cohort's other patients
n_patients: int = 6  # patients to stage
preset: str = "demo"  # settings of the model, if one is fitted
n_training: int = 120  # largest number of patients to fit the model on
max_epochs: int = 15  # largest number of epochs
n_networks: int = 4  # networks of the model; sets of stages need two or more
seed: int = 0  # seed of the choice of patients, and of the fit
out_dir: str = ""  # filled in by the runner

# %%
from pathlib import Path

from IPython.display import display

import mmfusion as mf
from mmfusion import figures, reports
from mmfusion.escaping import write_csv
from mmfusion.evaluation.unseen import fitted_on
from mmfusion.staging.report import study
from mmfusion.staging.report.patients import (
    choose_patients,
    no_sets,
    prediction_table,
    scan_figure,
    scan_streams,
    shown_table,
    tally,
)

data = mf.load_cohort(cohort, root=data_root or None, target=target or None)
patients, training = choose_patients(data, n_patients, fitted=bool(model), seed=seed)
given = []
if model:
    classifier = mf.load(model)
else:
    known = study.subset(training, n_training, seed)
    classifier = mf.StageClassifier.from_preset(
        preset, max_epochs=max_epochs, n_members=n_networks, random_state=seed
    )
    with reports.collected() as given:
        classifier.fit(known.X, known.y)
results = dict(zip(patients.index, classifier.predict_each(patients), strict=True))
predictions = {p: r for p, r in results.items() if not isinstance(r, mf.MMFusionError)}
failures = {p: r for p, r in results.items() if isinstance(r, mf.MMFusionError)}
origin = (
    f"the saved model {Path(model).name}"
    if model
    else f"a model fitted on {len(known)} other patients of {data.name}"
)
seen = fitted_on(classifier, data, predictions)
text = f"{len(predictions)} of {len(results)} patients staged by {origin}."
if seen:
    text += f" It was fitted on {len(seen)} of them, so their results do not show how good it is."
display(reports.paragraph(f"{text} {no_sets(classifier)}".strip()))
if given:
    lines = reports.bullets(reports.warnings_given(also=given))
    display(reports.paragraph("Warnings during fitting:"), lines)

# %% [markdown]
# ## Summary

# %%
table = prediction_table(results, data, seen)
reports.full_table(shown_table(table))

# %%
prior = dict(zip(map(str, classifier.classes_), classifier.prior_, strict=True))
for patient, prediction in predictions.items():
    display(reports.paragraph(patient, heading=2), prediction)
    figure = figures.patient_probabilities(prediction.probabilities, prior=prior, stage=prediction.stage)
    display(reports.save_figure(figure, out_dir, f"probabilities_{patient}"))
    for stream in scan_streams(classifier):
        if (figure := scan_figure(classifier, patients.loc[[patient]], stream)) is not None:
            display(reports.save_figure(figure, out_dir, f"{stream}_{patient}"))

# %% [markdown]
# ## Patients who could not be staged

# %%
reports.bullets([f"{p}: {error}" for p, error in failures.items()], otherwise="None.")

# %%
if out_dir:
    write_csv(table, Path(out_dir) / "predictions.csv", index=False)
metrics = {
    "cohort": data.name,
    "target": data.target,
    "n": len(results),
    "headline": tally(results, data, seen),
    "predictions": table.to_dict("records"),
}
reports.write_metrics(metrics, out_dir)

# %% [markdown]
# ## Reporting standards
#
# Two checklists say what a paper must report: TRIPOD+AI for prediction models, and CLAIM for AI in medical
# imaging. The tables list the items that this page answers, and what the authors of a paper have to add.
# Click on a line to open its table.

# %%
reports.standards_card("predict_patient")
