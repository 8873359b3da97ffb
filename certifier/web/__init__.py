"""Pages for people: server-rendered HTML with charts as inline SVG; no script and no other host needed."""
