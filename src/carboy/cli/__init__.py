"""The command line: finding the application, the command groups, the development server.

Everything public is imported from here; the modules below are the rooms:
`discovery` and `script` find and load the application, `group` holds the click groups,
`commands` and `options` what they offer, `serving` the development server, `debugger` (with
`surroundings` and `masking`) what of Werkzeug's debugger may be seen by whom.
"""

from __future__ import annotations

import click as click

from .commands import routes_command as routes_command
from .commands import run_command as run_command
from .commands import shell_command as shell_command
from .discovery import NoAppException as NoAppException
from .discovery import find_app_by_string as find_app_by_string
from .discovery import find_best_app as find_best_app
from .discovery import locate_app as locate_app
from .discovery import prepare_import as prepare_import
from .envfiles import load_dotenv as load_dotenv
from .group import AppGroup as AppGroup
from .group import FlaskGroup as FlaskGroup
from .options import CertParamType as CertParamType
from .options import SeparatedPathType as SeparatedPathType
from .options import get_version as get_version
from .options import version_option as version_option
from .program import cli as cli
from .program import main as main
from .script import ScriptInfo as ScriptInfo
from .script import pass_script_info as pass_script_info
from .script import with_appcontext as with_appcontext
from .serving import NotSafeError as NotSafeError
from .serving import run_app as run_app
from .serving import show_server_banner as show_server_banner
