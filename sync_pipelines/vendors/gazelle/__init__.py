"""Gazelle: clients, contacts, pianos, appointments, timeline."""
