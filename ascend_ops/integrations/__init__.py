"""What makes other frameworks use these ops; one module or folder per framework.

Nothing here imports a framework until that framework is imported by its user.
"""
