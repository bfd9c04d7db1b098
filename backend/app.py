"""Starts Chat-Sec: `python app.py [--host ADDRESS] [--port NUMBER] [--data-dir FOLDER] [--workers NUMBER]`.

The flags stand over HOST, PORT and DATA_DIR of the environment and `.env`. `--workers` above 1 starts that many
processes on the ports from PORT on, joined by MONGO_URI and REDIS_URL, and starts one anew that ends. `--help` and
`--version` tell, and start nothing. Installed, the same is called `chatsec-server`.
"""

import sys

from chatsec.main import main

if __name__ == "__main__":
    sys.exit(main())
