"""Rollouts that do not wait: many episodes and several engines, each at its own pace."""
