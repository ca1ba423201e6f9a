"""What every connector and format must hold, as pytest classes to inherit.

Shipped, so that plugins from elsewhere prove the same.

A connection's test file has one class per thing it can do (``ConnectionSuite`` and, as they fit, ``NetworkSuite``,
``RowsSuite``, ``FilesSuite``), a format's has one ``FormatSuite``. Security cases carry the mark ``security``.
"""
