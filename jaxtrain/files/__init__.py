"""Files: written whole or not at all, held by one process, under names that stay inside.

with replacing(directory / "metrics.json") as temporary:
    temporary.write_text(text)
"""
