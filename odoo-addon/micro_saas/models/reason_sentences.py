"""What the sidecar says, as sentences in the reader's language: it sends one word, the reason, and what that is about.

A detail is a text, maybe False: the values that a sentence names, a line each.
test/unit/reasons.test.ts of the sidecar fails on a reason that has no sentence here.
"""

import re

from odoo.tools import format_date


def _day(env, text):
    """Return a day, as the sidecar writes it, in the reader's words; anything else as it is."""
    # With the month's name: nobody reads a day for a month.
    return format_date(env, text, date_format="long") if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else text


def instance_sentence(env, reason, detail):
    """Return the sentence for an instance's reason; "" for no reason.

    :param reason: one CamelCase word, maybe False
    :param detail: what it is about: an address, a name
    """
    _, detail = env._, detail or ""
    one, two, three, *_rest = [*detail.split("\n"), "", "", ""]
    # Only the one that is asked for is looked up in the language; some have fewer values in rows of an earlier version.
    sentences = {
        "AssigningPorts": lambda: _("Choosing free ports."),
        "FetchingRepositories": lambda: _("Fetching the addon repositories."),
        "Rendering": lambda: _("Writing the configuration."),
        "StartingDatabase": lambda: _("Starting the database server."),
        "PreparingTemplate": lambda: _(
            "Preparing the modules of this plan for the first time. This takes some minutes."
        ),
        "CreatingDatabase": lambda: _("Creating the database."),
        "HandingOver": lambda: _("Handing it over to its customer."),
        "WaitingForMemory": lambda: _("Waiting for free memory on the server."),
        "Starting": lambda: _("Starting the instance."),
        "WaitingForAnswer": lambda: _("Waiting for the first answer."),
        "Restarting": lambda: _("It has not answered for some minutes: restarting it."),
        "UpdatingApps": lambda: _("Listing the new modules among the Apps."),
        "ApplyingLimits": lambda: _("Giving it the memory and processors of its plan."),
        "Stopping": lambda: _("Stopping the instance."),
        "TakingDown": lambda: _("Taking the instance down. Its data is kept."),
        "Running": lambda: _("Running."),
        "Asleep": lambda: _("Asleep. The next visit wakes it."),
        "Stopped": lambda: _("Stopped. Its data is kept."),
        "Removed": lambda: (
            _("Removed. Its data is kept until %s.", _day(env, detail)) if detail else _("Removed. Its data is kept.")
        ),
        "Purged": lambda: _("Removed with its data when retention was over. A last backup is kept."),
        "Expired": lambda: _("Suspended: it was paid until %s. It runs again once the renewal is paid.", _day(env, detail)),
        "Refunded": lambda: _("Suspended: its payment was given back. It runs again once it is paid."),
        "Cancelled": lambda: _("Stopped: its subscription was cancelled and the paid time is over."),
        "Archiving": lambda: _("Making the last backup of the data, and restoring it for proof."),
        "Purging": lambda: _("Removing the data. A last backup is kept."),
        "BackingUp": lambda: _("Writing a backup."),
        "Proving": lambda: _("Restoring the backup for proof, away from the instance."),
        "Erasing": lambda: _("Erasing the backups and their key."),
        "StillHasData": lambda: _("The data of this Odoo are still here. Nothing was erased."),
        "FetchingBackup": lambda: _("Fetching the backup."),
        "RestoringDatabase": lambda: _("Restoring the database."),
        "Neutralising": lambda: _("Switching off what the copy would send, and removing its secrets."),
        "ReadingBackup": lambda: _("Reading the backup, away from the instance."),
        "WritingExport": lambda: _("Writing the file."),
        "ExportsFull": lambda: _(
            "As many downloads are waiting on the server as it keeps. Each is removed after a day: try again then."
        ),
        "DatabaseExists": lambda: _("Its database is still here though its files are not. Nothing was restored."),
        "NothingReplaced": lambda: _("Restored. There were no data in its place."),
        "SwappingData": lambda: _("Putting the restored data in place."),
        "Rehearsing": lambda: _("Trying the update on a backup, away from the instance."),
        "Updating": lambda: _("Updating a copy of the data. The instance is stopped meanwhile."),
        "UpdateFailed": lambda: _(
            "The update did not succeed, so it was not made: version and data are as they were. Odoo says: %s", detail
        ),
        "NothingToUpdate": lambda: _("It runs what is newest already. Nothing was changed."),
        "BackupServerAway": lambda: _("Where the backups are kept nobody answers: %s", detail),
        "BackupServerFull": lambda: _("Where the backups are kept there is no room left: %s", detail),
        "BackupServerKeeps": lambda: _(
            "The server of the backups removes nothing that it is asked to. Remove the folder %s there, then erase again.", detail
        ),
        "BackupServerRefused": lambda: _("The server of the backups does not let this one in: %s", detail),
        "BackupKeyWrong": lambda: _("The server's key does not open the backups of this instance."),
        "BackupLocked": lambda: _(
            "Another program has locked the backups of this instance: %s", ", ".join(filter(None, (one, two)))
        ),
        "BackupDamaged": lambda: _("The backups of this instance are damaged: %s", detail),
        "BackupTooLarge": lambda: _(
            "The backup became larger than %s, more than the size of its data allows. It was ended.", detail
        ),
        "BackupTooSlow": lambda: _(
            "The backup took longer than %s minutes, more than the size of its data allows. It was ended, for others"
            " would have waited.",
            detail,
        ),
        "BackupFailed": lambda: _("The backup could not be written: %s", detail),
        "BackupGone": lambda: _("This backup does not exist any more."),
        "BackupForeign": lambda: _("This is the backup of another instance. Nothing was restored."),
        "HostReplaced": lambda: _("Another server works for this Odoo by now: this one writes no backups any more."),
        "ManagerOutOfReach": lambda: _(
            "The sidecar does not reach this Odoo's own database and files, so nothing backs them up: %s", detail
        ),
        "BackupOdooNewer": lambda: _(
            "The backup is of Odoo %(backup)s, which is newer than the instance's %(present)s. Nothing was restored.",
            backup=one,
            present=two,
        ),
        "DatabaseBusy": lambda: _("No backup could be made: a table of the database stayed locked for too long."),
        "ProofBoot": lambda: _("Database and files of the backup are whole, but Odoo does not start with them: %s", detail),
        "ProofDatabase": lambda: _("The database of the backup could not be restored for proof: %s", detail),
        "ProofFileDamaged": lambda: _(
            "Files of the backup are damaged: %(count)s, the first of them %(path)s.", count=one, path=two
        ),
        "ProofFileMissing": lambda: _(
            "The backup does not have all files that its database names: %(count)s are missing, the first of them"
            " %(path)s.",
            count=one,
            path=two,
        ),
        "ProofRows": lambda: _(
            "The table %(table)s had %(expected)s rows when the backup was made, and has %(found)s once restored.",
            table=one,
            expected=two,
            found=three,
        ),
        "NothingToUndo": lambda: _("There is nothing to undo: the data from before the restore are not there."),
        "ArchiveDamaged": lambda: _(
            "The archive %s cannot be used: its checksums differ. Nothing was removed.", detail
        ),
        "ArchiveNameInvalid": lambda: _("“%s” is not the name of an archive.", detail),
        "ArchiveServerDown": lambda: _(
            "The last backup could not be made: the instance's own Postgres does not start. Nothing was removed."
        ),
        "ArchiveUnreadable": lambda: _("The archive %s cannot be read. Nothing was removed.", detail),
        "RemovalBlocked": lambda: _(
            "The files could not be removed: %s. Remove the obstacle on the server: it goes on by itself then.",
            detail,
        ),
        "RepositoryUnreachable": lambda: _("The repository %s could not be reached.", detail),
        "RepositoryForbidden": lambda: _(
            "The repository %s does not exist, or it is private and the sidecar has no valid token for it.", detail
        ),
        "RepositoryInvalid": lambda: _("The repository %s cannot be used.", detail),
        "RepositoryAddressInvalid": lambda: _(
            "“%(url)s” is not the address of a repository, which begins with one of: %(protocols)s.",
            url=one,
            protocols=two,
        ),
        "RepositoryWithPassword": lambda: _(
            "The address of the repository %s must not contain a user name or a password.", detail
        ),
        "RepositoryPrivateHost": lambda: _(
            "The repository %s lies on a private network. The operator can allow its host"
            " (repositories.privateHosts).",
            detail,
        ),
        "RepositoryMoved": lambda: _("The repository %s has moved: enter its new address.", detail),
        "RepositoryEmpty": lambda: _("The repository %s is empty.", detail),
        "RepositoryDamaged": lambda: _("The repository %s is damaged or malicious.", detail),
        "RepositoryLinksOut": lambda: _("The repository %s has a link that leads out of it.", detail),
        "RepositoryTooLarge": lambda: _("The repository %(url)s is larger than %(limit)s MB.", url=one, limit=two),
        "RepositoryModuleUnnamed": lambda: _(
            "The repository %s is one Odoo module, and its address does not end with the module's name, such as"
            " …/my_module.",
            detail,
        ),
        "RepositoryWithoutModules": lambda: _(
            "The repository %s has no Odoo module in its first four levels of folders.", detail
        ),
        "RepositoryOnlySubmodules": lambda: _(
            "The repository %(url)s holds no Odoo module but git submodules, which are not fetched: %(names)s. Add the"
            " repository of each instead.",
            url=one,
            names=two,
        ),
        "CommitInvalid": lambda: _("What is recorded for a repository is not a commit: “%s”.", detail),
        "CommitMissing": lambda: _("The repository %s does not have the commit.", detail),
        "BranchMissing": lambda: _("Neither a branch nor a tag of that name is in the repository: %s", detail),
        "SubmodulesLeftOut": lambda: _(
            "The git submodules of %(url)s are not fetched: %(names)s. Add the repository of each where its modules"
            " are needed.",
            url=one,
            names=two,
        ),
        "PackagesMissing": lambda: _(
            "Modules of %(url)s need Python packages that the image does not have: %(names)s. They cannot be"
            " installed.",
            url=one,
            names=two,
        ),
        "AppsListFailed": lambda: _(
            "The list of Apps could not be renewed: press Update Apps List in the customer's Odoo."
        ),
        "UnknownTemplate": lambda: _("There is no template “%s”.", detail),
        "TemplateInvalid": lambda: (
            _("The template “%(name)s” cannot be used: %(why)s", name=one, why=f"{two} {three}".strip())
            if three
            else _("The template “%s” cannot be used.", one)
        ),
        "TemplateBreaksPolicy": lambda: (
            _("The template “%(name)s” asks for something forbidden: %(what)s", name=one, what=f"{two} {three}")
            if two
            else _("The template asks for something forbidden: %s", one)
        ),
        "NoFreePorts": lambda: _("No free pair of ports is left in the ranges of the settings."),
        "ForeignData": lambda: _(
            "Data of another instance lie on the server under this number. Nothing was started, stopped, changed or"
            " sent. The operator finds out more on the sidecar's host with: microsaas reconcile-host"
        ),
        "Marking": lambda: _("Marking the data as those of this instance."),
        "PortTaken": lambda: _(
            "Another program on the server uses port %s of this instance. Free the port, or give the instance another"
            " one in its form: the customer is then told.",
            detail,
        ),
        "DatabaseMissing": lambda: _(
            "The database of this instance has disappeared. Nothing was created in its place:"
            " restore it from a backup."
        ),
        "FilesMissing": lambda: _(
            "Files of this instance have disappeared. Nothing was created in their place:"
            " restore them from a backup."
        ),
        "ModulesFailed": lambda: _("The modules of this plan could not be installed: %s", detail),
        "ModulesInterrupted": lambda: _("The installation of the modules was cut short: %s", detail),
        "ModulesMissing": lambda: _(
            "These modules could not be installed: %s. Check the plan's module list.", detail
        ),
        "ModuleNameInvalid": lambda: _("“%s” is not the name of an Odoo module.", detail),
        "DatabaseNotInitialised": lambda: _("Odoo did not initialise the template database."),
        "DockerUnavailable": lambda: _("Docker does not answer."),
        "DockerRefused": lambda: _("Docker refused a request."),
        "DockerFailed": lambda: _("Docker reports an error of its own."),
        "ServerNotPrepared": lambda: _(
            "The instance's own Postgres was not made from this plan's template. It has no data of the customer's:"
            " stop its containers and move its folder pgdata away, then press Start."
        ),
        "PostgresUnavailable": lambda: _("The database server does not answer."),
        "TenantDatabase": lambda: _("The customer's own database did not do what was asked of it."),
        "StartFailed": lambda: _("Docker could not start the instance."),
        "EndedWhileStarting": lambda: _("The instance ended while it was starting."),
        "ImageGone": lambda: _(
            "The image that this instance runs is not on the server any more, and no other is taken in its place: %s."
            " Load it there again (docker load), or press Update: the instance then gets the newest one.",
            detail,
        ),
        "ImageMissing": lambda: _("The image %s could not be pulled.", detail),
        "NotEnoughMemory": lambda: _("The server has too little free memory at present."),
        "CopyNotClosed": lambda: _(
            "The staging copy is not started: the server's firewall does not keep it in. Check egress.enforce in the"
            " sidecar's configuration, and what microsaas doctor says."
        ),
        "NeutraliseFailed": lambda: _(
            "The staging copy is not started: what it would send and its secrets could not be switched off and removed: %s",
            detail,
        ),
        "CrashLoop": lambda: _(
            "The instance ends again and again while it starts."
            " The operator finds its last words in the log."
        ),
        "NotEnoughDisk": lambda: _disk_sentence(env, one, two, three),
        "NotEnoughInodes": lambda: _(
            "The server's disk has too little room: only %(free)s more files can be made; %(kept)s are kept. Free some:"
            " it goes on by itself then.",
            free=one,
            kept=two,
        ),
        "NotAnswering": lambda: _("The instance was started but does not answer."),
        "NotConverging": lambda: _("The instance does not settle."),
        "Unexpected": lambda: _("Something unexpected happened. The operator finds it in the log."),
    }
    return _closed(sentences.get(reason, lambda: _of_newer_sidecar(reason, detail))())


def _closed(sentence):
    """Return a sentence with its full stop: what it ends with may be a name, or another program's words."""
    return f"{sentence}." if sentence and sentence[-1] not in ".!?…" else sentence


def _disk_sentence(env, free, kept, needed):
    _ = env._
    if needed:
        return _(
            "The server's disk has too little room: about %(needed)s are needed and %(free)s are free, of which"
            " %(kept)s are kept. Free some: it goes on by itself then.",
            free=free,
            kept=kept,
            needed=needed,
        )
    if kept:
        return _(
            "The server's disk has too little room: only %(free)s are free; %(kept)s are kept. Free some: it goes on by"
            " itself then.",
            free=free,
            kept=kept,
        )
    return _("The server's disk has too little room. Free some: it goes on by itself then.")


def plan_sentence(env, reason, detail):
    """Return why a plan is not prepared, or what of its repositories cannot be used; "" for no reason.

    :param reason: as of an instance; or "Remarks": in each line of the detail a reason, an address and names
    """
    if reason != "Remarks":
        return instance_sentence(env, reason, detail)
    remarks = [line.partition(" ") for line in (detail or "").split("\n")]
    return " ".join(
        instance_sentence(env, remark, about.replace(" ", "\n", 1)) for remark, _space, about in remarks
    )


def hold_sentence(env, reason, detail):
    """Return why an invoice waits for a person; "" for no reason.

    :param detail: what the sentence names: a number, a day, a document
    """
    _, detail = env._, detail or ""
    one, two, *_rest = [*detail.split("\n"), "", ""]
    sentences = {
        "UnlinkedCredit": lambda: _(
            "Credit note %s settles this invoice and does not say which invoice it credits. Approve if it pays for this"
            " one.",
            detail,
        ),
        "PartOfAUnit": lambda: _(
            "One line sells %s of a plan, which is no whole instance: none is created for it. Sell whole units, at a"
            " lower price if need be.",
            detail,
        ),
        "TooManyUnits": lambda: _(
            "One line asks for %(units)s instances; more than %(limit)s need a person's approval.",
            units=one,
            limit=two,
        ),
        "Duplicate": lambda: _(
            "This invoice is a copy of one that sold %s: does it renew that, or sell a second instance?", detail
        ),
        "TrialAgain": lambda: _(
            "This is a trial that the customer has had already, by %s. Approve if they may try it again.", detail
        ),
        "TooManyClaims": lambda: _(
            "%(units)s paid units of this plan are waiting at once; more than %(limit)s need a person's approval.",
            units=one,
            limit=two,
        ),
        "PlanSince": lambda: _(
            "The invoice is of %(invoiced)s and the product is a plan since %(since)s. Approve if it sells an"
            " instance.",
            invoiced=one,
            since=two,
        ),
    }
    return sentences.get(reason, lambda: _of_newer_sidecar(reason, detail))()


def _of_newer_sidecar(reason, detail):
    """Return what there is to say for a reason that only a newer sidecar knows: its own words."""
    about = ", ".join(value for value in (detail or "").rstrip(".").split("\n") if value)
    return f"{reason}{about and ': '}{about}." if reason else ""
