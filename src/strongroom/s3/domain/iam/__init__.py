"""Users, groups, policies, service accounts and sessions: who there is, and what they may do."""
