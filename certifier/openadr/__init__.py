"""OpenADR 3.1: demand-response events, reports and subscriptions for clients that speak it (domain.md §9)."""
