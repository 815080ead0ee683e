"""What the reports about lesions say: patients, models, sentences, pictures."""
