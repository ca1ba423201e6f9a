"""What every connector, format and step must hold, as pytest classes to inherit.

Shipped, so that plugins from elsewhere prove the same.

A connection's test file has one class per thing it can do (``ConnectionSuite`` and, as they fit, ``NetworkSuite``,
``RowsSuite``, ``GivingFilesSuite``, ``FilesSuite``), a format's has one ``FormatSuite``, a step's the suite of
its sort (``ReadingSuite``, ``TransformSuite``, ``CheckSuite``, ``WritingSuite``). Security cases carry the mark
``security``.
"""
