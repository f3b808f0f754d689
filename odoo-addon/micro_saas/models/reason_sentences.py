"""What is going on with an instance, as a sentence in the reader's language, by the sidecar's one word for it."""


def instance_sentence(env, reason, detail):
    """Return the sentence for an instance's reason; empty for a reason that a newer sidecar knows.

    :param reason: one CamelCase word, maybe False
    :param detail: what it is about: an address, a name; maybe False
    """
    _, detail = env._, detail or ""
    return {
        "AssigningPorts": _("Choosing free ports."),
        "FetchingRepositories": _("Fetching the addon repositories."),
        "Rendering": _("Writing the configuration."),
        "StartingDatabase": _("Starting the database server."),
        "PreparingTemplate": _(
            "Preparing the modules of this plan for the first time. This takes some minutes."
        ),
        "CreatingDatabase": _("Creating the database."),
        "WaitingForMemory": _("Waiting for free memory on the server."),
        "Starting": _("Starting the instance."),
        "WaitingForAnswer": _("Waiting for the first answer."),
        "Restarting": _("It has not answered for some minutes: restarting it."),
        "UpdatingApps": _("Listing the new modules among the Apps."),
        "Stopping": _("Stopping the instance."),
        "TakingDown": _("Taking the instance down. Its data is kept."),
        "Running": _("Running."),
        "Asleep": _("Asleep. The next visit wakes it."),
        "Stopped": _("Stopped. Its data is kept."),
        "Removed": (
            _("Removed. Its data is kept until %s.", detail) if detail else _("Removed. Its data is kept.")
        ),
        "Purged": _("Removed with its data when retention was over. An archive is kept."),
        "Expired": _("Suspended: it was paid until %s. It runs again once the renewal is paid.", detail),
        "Refunded": _("Suspended: its payment was given back. It runs again once it is paid."),
        "Cancelled": _("Stopped: its subscription was cancelled and the paid time is over."),
        "Archiving": _("Writing the last copy of the data."),
        "Purging": _("Removing the data. An archive is kept."),
        "ArchiveDamaged": _("The archive %s cannot be used. Nothing was removed.", detail),
        "ArchiveFailed": _("The archive could not be written: %s. Nothing was removed.", detail),
        "RemovalBlocked": _(
            "The files could not be removed: %s. Remove the obstacle on the server: it goes on by itself then.",
            detail,
        ),
        "RepositoryUnreachable": _("The repository %s could not be reached.", detail),
        "RepositoryForbidden": _(
            "The repository %s does not exist, or it is private and the sidecar has no valid token for it.", detail
        ),
        "RepositoryInvalid": _("The repository %s cannot be used.", detail),
        "BranchMissing": _("Neither a branch nor a tag of that name is in the repository: %s", detail),
        "UnknownTemplate": _("There is no template “%s”.", detail),
        "TemplateInvalid": _("The template “%s” cannot be used.", detail),
        "TemplateBreaksPolicy": _("The template asks for something forbidden: %s", detail),
        "NoFreePorts": _("No free pair of ports is left in the ranges of the settings."),
        "ForeignData": _(
            "Data of another instance lie on the server under this number. Nothing was started, stopped, changed or"
            " sent. The operator finds out more on the sidecar's host with: microsaas reconcile-host"
        ),
        "Marking": _("Marking the data as those of this instance."),
        "PortTaken": _("Another program on the server uses port %s of this instance.", detail),
        "DatabaseMissing": _(
            "The database of this instance has disappeared. Nothing was created in its place:"
            " restore it from a backup."
        ),
        "FilesMissing": _(
            "Files of this instance have disappeared. Nothing was created in their place:"
            " restore them from a backup."
        ),
        "ModulesFailed": _("The modules of this plan could not be installed: %s", detail),
        "DockerUnavailable": _("Docker does not answer."),
        "DockerRefused": _("Docker refused a request."),
        "DockerFailed": _("Docker reports an error of its own."),
        "ServerNotPrepared": _(
            "The instance's own Postgres was not made from this plan's template. It has no data of the customer's:"
            " stop its containers and move its folder pgdata away, then press Start."
        ),
        "PostgresUnavailable": _("The database server does not answer."),
        "TenantDatabase": _("The customer's own database did not do what was asked of it."),
        "StartFailed": _("Docker could not start the instance."),
        "NotEnoughMemory": _("The server has too little free memory to start the instance."),
        "CrashLoop": _(
            "The instance ends again and again while it starts."
            " The operator finds its last words in the log."
        ),
        "NotEnoughDisk": _(
            "The server's disk has too little room. %s Free some: it goes on by itself then.", detail
        ),
        "NotAnswering": _("The instance was started but does not answer."),
        "NotConverging": _("The instance does not settle."),
        "Unexpected": _("Something unexpected happened. The operator finds it in the log."),
    }.get(reason, "")
