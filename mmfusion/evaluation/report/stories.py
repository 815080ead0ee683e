"""Sentences about each leak demonstration, and about the paper that has the leak."""

from __future__ import annotations

# number of a demonstration -> the leak, and a paper
STORIES: dict[str, tuple[str, ...]] = {
    "D1": (
        "LDA looks for the direction in which two groups of patients differ most. With more features than"
        " patients there is always such a direction, even if the groups were drawn by lot.",
        "arXiv 2211.06620 classifies EGFR by deep features, with an AUC of 0.93 and an F1 of 0.95 after "
        "LDA, and an F1 of about 0.5 without it. Its published LDA was fitted on all 109 patients.",
    ),
    "D2": (
        "Among 20,000 genes of random numbers, some differ between the classes by chance. If the genes "
        "are chosen with the test patients, they differ in the test patients too.",
        "This is the oldest leak of genomics (Ambroise and McLachlan 2002).",
    ),
    "D3": (
        "The stage is defined by T, N and M. A model that reads T, N and M has nothing to learn but this "
        "definition.",
        "The stage paper (Advanced Biomarker Discovery and Tumor Microenvironment Analysis Through High-"
        "Dimensional Imaging and Radiogenomics) lists T, N and M among its clinical inputs, and reports "
        "an accuracy of 0.46. On LUNG1 and on NSCLC-Radiogenomics a forest reaches 0.9 or more with T, N "
        "and M, and 0.39 and 0.59 without; the parameter data_root shows it.",
    ),
    "D4": (
        "Two neighbouring slices of one tumour are nearly the same picture. If one is in the training set"
        " and one in the test set, the model only has to recognise the patient.",
        "RAEMD-Net reports a Dice of 0.97, and its text does not exclude a split of slices.",
    ),
    "D5": (
        "An augmented copy is nearly the original. Copies that were made before the split are in both sets.",
        "RAEMD-Net describes flips, rotations and scaling, and its text does not say that they follow the"
        " split.",
    ),
    "D6": (
        "The result of each epoch on the test set is partly luck. If the best of 50 epochs is chosen, its "
        "result is too good. The simulated epochs show that the effect is as large as theory expects.",
        "CIPA (arXiv 2503.17261): the published code has a training list and a test list, and keeps the "
        "checkpoint with the best IoU on the test list.",
    ),
    "D7": (
        "The box of the true mask tells where the lesion is and how large it is. Nobody knows this box "
        'before the lesion is segmented. The row "boxes alone" has no network: the box itself is taken as '
        "the mask.",
        "RA-Seg (arXiv 2211.06620) reads the box of the true tumour, also for test patients. The networks"
        " that it is compared with do not get a box. The networks here are small and trained for seconds;"
        " benchmarks/leakage.py has longer runs.",
    ),
    "D8": (
        "Public data sets share patients under different names. A model that was trained on one of them "
        "and is tested on another has seen some of its test patients.",
        "The lung scans of the Medical Segmentation Decathlon are from NSCLC-Radiogenomics. arXiv "
        "2211.06620 trains on these scans and on LUNG1, and tests on NSCLC-Radiogenomics, with a Dice of "
        "0.735.",
    ),
    "D9": (
        "An imputer, a scaler and a filter by variance do not look at the labels. Fitting them on all "
        "patients is a mistake, but hardly changes the result here. If a result is much too good, look for "
        "another leak.",
        "The stage paper appears to impute and to choose its 2000 genes by variance before the split.",
    ),
    "D10": (
        "With 200 settings, some fit the folds by luck. The result of the best setting on the folds that "
        "chose it is therefore too good. Inner folds should choose the setting, and outer folds should "
        "measure the result.",
        "arXiv 2211.06620 chooses the settings of its classifiers on the folds that it reports.",
    ),
}
