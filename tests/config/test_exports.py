import jaxtrain.config as config


def test_everything_exported_is_there_and_nothing_else_is_public():
    import types

    public = {
        name
        for name, value in vars(config).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public == set(config.__all__)
