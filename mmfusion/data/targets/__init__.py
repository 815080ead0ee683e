"""What is predicted: the stage of a lung cancer, and which columns may not be read to predict it."""
