"""SGLang's own dispatch and what its model classes do with a head."""
