"""The loops that every answer runs through, compiled to machine code; imported where they are first needed."""
