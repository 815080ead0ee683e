"""Content of the reports about lesions: patients, models, sentences, pictures."""
