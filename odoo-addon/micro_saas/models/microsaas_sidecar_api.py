from odoo import api, models
from odoo.exceptions import AccessError

from .settings import SIDECAR_GROUP


class MicrosaasSidecarApi(models.AbstractModel):
    """Everything that the sidecar calls by RPC. Whoever changes a name, a parameter or an answer changes src/manager/ too.

    - Each method is one transaction. Only the sidecar's user may call it, and it works with `sudo()`: that user itself
      needs no right on invoices or partners.
    - Everything may be called again: a unit claimed twice is one instance, a report without news writes nothing.
    - No answer holds None, which XML-RPC cannot carry: it is False, "" or 0. All numbers are finite.
    - A day is "YYYY-MM-DD", a moment "YYYY-MM-DD HH:MM:SS" in UTC, `…_at` as a number is seconds since 1970.
    - Answers may get more keys; what the sidecar does not know it ignores.
    """

    _name = "microsaas.sidecar.api"
    _description = "What the sidecar calls"

    @api.model
    def _for_sidecar(self, model):
        """Return a model to work with, with sudo.

        :raise AccessError: somebody else than the sidecar's user calls
        """
        if not (self.env.su or self.env.user.has_group(SIDECAR_GROUP)):
            raise AccessError(self.env._("Only the sidecar may call this method."))
        return self.env[model].sudo()

    # -- who is there, and since when ----------------------------------------------------------

    @api.model
    def microsaas_hello(self, install_id, door=None):
        """Introduce a sidecar. The first one's install id is kept; the caller compares.

        :param door: False: the sidecar has no door; or a dict of `domain`, `url` (the pattern of addresses), `addresses`
            (a list of the public IP addresses, to which customers' domains lead) and `manager` (this Odoo's own label
            below the domain, maybe ""). Not given: what was said before stays.
        :return: dict of `install_id`, `addon_version`, `http_ports` and `longpolling_ports` ([first, last]),
            `has_mail_server` (mails leave), `has_company_email` (the company that sells has an address to write from),
            `failed_mails` (mails to customers that did not leave), `cron_at` (when this Odoo last looked for trouble by itself,
            every five minutes; 0: never), `heard_at` (when it last heard of the sidecar, to the minute; 0: never), `now`,
            `database_uuid`, `checkpoint` and `highest_instance` (the last number given out), of which both only ever
            grow, except when the database is restored from an older copy
        """
        return self._for_sidecar("microsaas.sidecar")._introduce(install_id, door)

    @api.model
    def microsaas_checkpoint(self):
        """Count one more checkpoint. A database restored from an older copy knows fewer than the sidecar remembers.

        :return: the checkpoint's number
        """
        return self._for_sidecar("microsaas.manager.history")._checkpoint()

    @api.model
    def microsaas_distrust(self, kind, above, found):
        """Tell people, once, that the sidecar does not act for this database, and why.

        :param kind: "older": it was restored from an older copy; "other": it is another database than before
        :param above: the highest number that the sidecar's host has seen; new instances get higher ones
        :param found: list of dicts of `id`, `name` and `url`, one for each instance on the host that this database does
            not know; "" where its mark does not say
        :return: True
        """
        self._for_sidecar("microsaas.manager.history")._distrust(kind, above, found)
        return True

    @api.model
    def microsaas_adopt(self, found):
        """Make records again of instances that the host has and this database has lost; a person has confirmed it.

        A record that took such a number meanwhile and has never run gets another number.

        :param found: list of dicts with `id`, `identity`, `name`, `template_code`, `http_port`, `longpolling_port`,
            `restart_count`, `running`, `was_ready` (it has data), `repositories` (`url`, `branch`, `commit`,
            `of_plan`), `sold_as` (as in `microsaas_desired`), maybe `subdomain` ("" for none; it gets another where
            somebody else has that by now)
        :return: list of the ids that have their record now
        """
        return self._for_sidecar("microsaas.manager.history")._adopt(found)

    # -- templates and plans -------------------------------------------------------------------

    @api.model
    def microsaas_sync(self, templates):
        """Make the records of templates mirror the sidecar's folders.

        :param templates: list of `{"code", "name", "odoo_version", "image_digest", "image_pins"}`: the image that new instances get,
            and all that the same image is called by, one a line; an absent code is archived, never deleted, because
            instances and plans still name it
        :return: True
        """
        self._for_sidecar("docker.compose.template")._sync(templates)
        return True

    @api.model
    def microsaas_plans(self, plan_ids):
        """Return what the instances of plans are made from.

        :param plan_ids: ids of product templates; empty: every plan that is not archived
        :return: list of dicts of `id`, `template_code`, `modules` (technical names), `languages` (codes), `content`
            (another text when the plan's template databases must be made anew), `repositories` (`id`, `url`, `branch`,
            `commit`, `of_plan`), `country_code`; `spares` (how many are wanted now), `recent_sales` (units that got their
            instance within 30 days), `spare_content` (another text when the plan's spares must be made anew); what is no
            plan left out
        """
        return self._for_sidecar("product.template")._microsaas_plans(plan_ids)

    @api.model
    def microsaas_report_plan(self, plan_id, is_ready, reason, detail, commits=(), content=""):
        """Say on a plan whether its modules are prepared.

        :param reason: why not, as of an instance; "Remarks": what of its repositories cannot be used; "": nothing to say
        :param detail: what the reason is about, see `plan_sentence`
        :param commits: what was fetched of its repositories: a list of dicts of `id` and `commit`
        :param content: what `microsaas_plans` said that it is made of; edited meanwhile, the plan is prepared anew
        :return: True
        """
        plan = self._for_sidecar("product.template").browse(plan_id).exists()
        plan._microsaas_apply_report(is_ready, reason, detail, commits, content)
        return True

    # -- invoices ------------------------------------------------------------------------------

    @api.model
    def microsaas_unclaimed(self, limit):
        """Return at most `limit` ids of paid invoices with automatic plan units that nobody has claimed; oldest first."""
        return self._for_sidecar("account.move")._microsaas_unclaimed(limit)

    @api.model
    def microsaas_invoice(self, invoice_id):
        """Return all that decides about an invoice, `{}` if it does not exist.

        :return: dict of `id`, `name`, `move_type`, `state`, `payment_state` (Odoo's; settled by another invoice's credit
            is paid), `in_payment_is_paid`, `invoice_date`, `paid_day`, `partner_id`, `approved`, `hold` (its reason),
            `reversed_ratio` (0.0 to 1.0), `unlinked_credit` (a credit note's name), `instance_ids` (those it pays for)
            and `lines`, without those that renew a subscription: dicts of `id`, `display_type`, `quantity`,
            `product_template_id`, `price_subtotal`, `is_plan`, `provision`, `desde`, `since_plan`, `may_renew` (names of
            subscriptions), `tried_before` (names of the invoices by which the customer has had this trial), `claimed` (units),
            `backlog` (unclaimed units of the plan on all invoices)
        """
        return self._for_sidecar("account.move").browse(invoice_id).exists()._microsaas_as_read()

    @api.model
    def microsaas_hold_invoice(self, invoice_id, reason, detail):
        """Keep an invoice for a person to decide, and tell people; an empty `reason` ends the hold.

        :param reason: one CamelCase word, see `hold_sentence`
        :param detail: the values that its sentence names, a line each
        :return: True
        """
        self._for_sidecar("account.move").browse(invoice_id).exists()._microsaas_hold(reason, detail)
        return True

    @api.model
    def microsaas_claim(self, units, above=0):
        """Create one instance for each paid unit, wished running; a unit claimed before keeps its instance.

        A ready spare that fits becomes the instance (`from_spare` in `microsaas_desired`), as long as there is one.

        :param units: list of `{"line_id", "unit"}`, units counted from 1
        :param above: the highest number that the sidecar's host has seen; a new instance gets a higher one, or that of
            its spare
        :return: the instances in the same order, as `microsaas_desired` gives them
        :raise UserError: an invoice is not paid, or a unit is not sold by its line
        """
        return self._for_sidecar("odoo.docker.instance")._claim_units(units, above)._desired_rows()

    # -- instances -----------------------------------------------------------------------------

    @api.model
    def microsaas_due(self, limit):
        """Return at most `limit` ids of instances, archived ones too, whose review is due; oldest first.

        It also notes that the sidecar is alive.
        """
        self._for_sidecar("microsaas.sidecar")._hear()
        return self._for_sidecar("odoo.docker.instance")._due_ids(limit)

    @api.model
    def microsaas_states(self):
        """Return what is believed of every instance, removed ones too.

        :return: list of dicts of `id`, `state`, `reason`, `revision`, `sleep_hours`, `asleep`, `last_request_at`, `wake_at` (as in
            `microsaas_desired`), `last_backup_at`, `last_proof_at` (of the newest one that was proven), `last_failure_at` (when none
            could be made), `has_job` (a person waits for something), `is_copy` (a staging copy: it is not backed up)
        """
        return self._for_sidecar("odoo.docker.instance")._states()

    @api.model
    def microsaas_desired(self, instance_ids):
        """Return what is wanted of instances, and what was last reported of them; ids that are gone are left out.

        :return: list of dicts of

            - `id`, `identity` (a UUID), `may_adopt` (its data have no mark yet), `name`, `active`, `revision` (counts what
              people changed), `sold_as` (False, or `line_id`, `unit` and the line's `made_at`, which no other line of that
              number shares)
            - wanted: `desired_state`, `restart_count`, `http_port` and `longpolling_port` (0: none yet), `template_code`,
              `memory_mb` and `cpus` (0: what the template gives), `user_limit` (False, or the `users` that its Odoo takes and
              the `refusal` that one more reads), `modules`, `repositories` (as in `microsaas_plans`),
              `given_modules` (of those that its plan ever had, the ones it was given; False: nobody has noted them),
              `without_archive` (its data may go without a last backup), `sleep_hours` (without a visitor; 0: it never sleeps)
            - names: `subdomain` (below the domain of the door), `former_subdomains` (they redirect to it; nobody else
              has them), `domains` (the customer's own, dicts of `id`, `name`, `verified`, `certified`: it has a
              certificate, `token`)
            - reported: `state`, `reason`, `instance_url`, `was_ready` (it has answered once), `asleep` (the state is then
              running), `last_request_at`, `wake_at` (when its own work is due)
            - `job`: what a person wants done once and is not over yet; False, or a dict of `id`, `identity` (a UUID), `kind` (backup,
              prove, restore, undo_restore, update, undo_update, export), `snapshot` ("" where it is about none), `state` (waiting, running)
            - `copy_of`: False, or of a staging copy the original: a dict of its `id` and `identity`, and of the `snapshot` of the
              backup that the copy is made from
            - `from_spare`: it was a spare, whose data are handed over to its customer
            - people: `customer` (`name`, `company_name`, `email`, `lang`, `country_code` of who administers it and of their
              company), `partner_id` (the company, 0 for none)
            - `support_until` (so long its customer lets support log in; 0: nobody is let in)
            - time and money: `requested_at`, `now`, `company_tz`, `in_payment_is_paid`, `subscription` (False for none)

            A `subscription` is a dict of `id`, `state`, `fecha_inicio`, `fecha_fin` (the last paid day), `reason`, `told`
            (what was said, "kind period" each), the moments `suspended_at`, `final_notice_at`, `archived_at`,
            `data_removed_at`, `hidden_at`; `terms`: the days `notice`, `grace`, `retention`, `final_notice`, the hours
            `reconsider`, `refund`, `free` ("" where it costs something); and `periods`, the first sale, its corrections and
            the renewals: dicts of `line_id`, `is_first`, `months`, `money` (False, or `move_type`, `state`, `payment_state`,
            `reversed_ratio`), `sold` (False, or `unit`, `quantity` and the `removed` units), `replaces` (the line that it
            corrects, 0 for none), `paid_at`, `missing_since`, `counted` (False, or `before`, `after`, `days`, `taken`,
            `taken_back_on`)
        """
        return self._for_sidecar("odoo.docker.instance").browse(instance_ids)._desired_rows()

    @api.model
    def microsaas_report(self, reports):
        """Write what the sidecar saw and did: all of it or nothing.

        :param reports: list of dicts with `id`, `revision` and any of `state`, `reason`, `detail` (the
            values that the reason's sentence names, a line each: see `instance_sentence`), `http_port`, `longpolling_port`, `instance_url`, `active`, `log` (list of lines, oldest first:
            texts for operators, or dicts of `at`, `reason` and `detail`, whose sentence is written, maybe with `because`:
            why the sidecar does what nobody has asked for, see `drift_sentence`),
            `next_review` (UTC text or False), `seconds_to_ready`, `commits` ([{"id", "commit"}]),
            `image_digest` (what it runs from now on), `given_modules` (a list of technical names), `asleep`, `last_request_at`, `wake_at`, `subscription` (a change), `adopted` (its data are marked now). Only given keys are written.

            A change has any of `state`, `fecha_inicio`, `fecha_fin`, `reason`, `archive`, the moments, `periods` (`line_id`,
            `is_first`, `before`, `after`, `days`, `taken`, `taken_back_on`, `missing_since`) and `notices` (`kind`,
            `period`), of which each is given once.

            A `revision` that is not the present one means that the sidecar has not seen
            what somebody wants since: the instance is due at once.
        :return: True
        :raise ValidationError: a port belongs to another instance; choose another one
        """
        self._for_sidecar("odoo.docker.instance")._apply_reports(reports)
        return True

    @api.model
    def microsaas_report_use(self, uses, host):
        """Say what instances use, and how the machine does. A measurement that is told again is counted once.

        :param uses: list of dicts of `id`, `identity` (of the mark beside the data: another instance's are nobody's business),
            `at` (when it was measured, in seconds since 1970), and of what is False where nobody knows it: `disk_mb` (files and
            database), `database_mb`, `users` (internal, not archived), `memory_mb`, `cpus` (busy processors since the last
            time), `requests` (since the last time)
        :param host: dict of `memory_mb`, `free_memory_mb`, `disk_mb`, `free_disk_mb`, and `short_of`: a list of what there is
            too little of for one more instance, "memory" or "disk"
        :return: True
        """
        self._for_sidecar("odoo.docker.instance")._apply_uses(uses)
        self._for_sidecar("microsaas.sidecar")._report_host(host)
        return True

    @api.model
    def microsaas_told(self, instance_ids, lines):
        """Return what people were last told of instances, for an operator at a terminal; ids that are gone are left out.

        :param lines: how many of each one's log, 0 for none
        :return: list of dicts of `id`, `since_at` (since when it is in its state, or a step is under way; 0: nobody knows),
            `sentence` (in English), `log` (lines, newest first)
        """
        return self._for_sidecar("odoo.docker.instance").browse(instance_ids).exists()._told(lines)

    @api.model
    def microsaas_assign_ports(self, instance_id, exclude):
        """Give an instance the lowest pair of TCP ports that no other has, in place of its own; a spare the highest.

        :param instance_id: also the number of a spare
        :param exclude: list of ports that the host uses for something else
        :return: dict of `http_port` and `longpolling_port`; 0 where a range is used up, and then nothing is written
        :raise ValidationError: another instance was given one of them at the same moment; call again
        """
        spare = self._for_sidecar("microsaas.spare")._numbered(instance_id)
        instance = self._for_sidecar("odoo.docker.instance").browse(instance_id)._quiet()
        return (spare or instance)._assign_ports(exclude)

    @api.model
    def microsaas_restore(self, instance_id, template_code, stage):
        """Note that an instance of which nothing is left gets its data from a backup or an archive.

        :param stage: "begin": it is a draft, so that nothing is done to it meanwhile, and it has data, so that none
            are made in their place; "end": it is stopped, for a person to start
        :return: True
        """
        self._for_sidecar("odoo.docker.instance").browse(instance_id)._restore(template_code, stage)
        return True

    # -- spares --------------------------------------------------------------------------------

    @api.model
    def microsaas_spares(self):
        """Return every spare, as `microsaas_desired` gives an instance: nobody's, wished running, under its number.

        :return: list of dicts with all keys of `microsaas_desired`, what is the plan's as it was when the spare was
            reserved; and `plan_id` (0: it is gone), `languages` (codes), `spare_state` (making, ready, leaving), `fresh`
            (what is made of the plan today would be the same)
        """
        return self._for_sidecar("microsaas.spare")._rows()

    @api.model
    def microsaas_reserve_spare(self, plan_id, content, above):
        """Reserve the number, and the identity, of an instance to come for a spare that is to be made.

        :param content: `spare_content` of the plan, as the sidecar knows it
        :param above: as in `microsaas_claim`
        :return: the number; 0: the plan is gone, not prepared, or another one by now
        """
        return self._for_sidecar("microsaas.spare")._reserve(plan_id, content, above)

    @api.model
    def microsaas_report_spare(self, number, state, image_digest=""):
        """Say what became of a spare on the host.

        :param state: "ready": it may be sold; "leaving": it is given to nobody any more; "gone": nothing of it is left, so
            its number is forgotten if it was leaving
        :param image_digest: the image that it runs, where it is ready
        :return: whether it is so. False: "ready", but it is leaving or gone; "leaving", but there is none, for somebody
            has bought it; "gone", but it is not leaving
        """
        return self._for_sidecar("microsaas.spare")._apply_report(number, state, image_digest)

    # -- backups -------------------------------------------------------------------------------

    @api.model
    def microsaas_report_job(self, job_id, state, reason="", detail="", percent=0):
        """Say how far a job is. One that is over is left alone, and one that is gone is ignored.

        :param state: "waiting"; "running"; "done" or "failed": it is over, and its instance is due
        :param reason: what is going on, or why it failed: see `instance_sentence`; "" for nothing to say
        :param detail: the values that its sentence names, a line each
        :param percent: how far it is, 0 to 100
        :return: True
        """
        job = self._for_sidecar("microsaas.job").browse(job_id).exists()
        if job:
            job._apply_report(state, reason, detail, percent)
        return True

    @api.model
    def microsaas_ask_for_job(self, instance_id, kind, snapshot=""):
        """Ask for something to be done with an instance's backups, as an operator does on the sidecar's host.

        :param kind: "backup", "prove", "restore", "undo_restore", "update", "undo_update" or "erase"
        :param snapshot: the backup that it is about; "" where it is about none
        :return: the id of the job
        :raise UserError: as the buttons refuse it: no such backup, no data, suspended, another job is open
        """
        return self._for_sidecar("odoo.docker.instance").browse(instance_id)._ask_from_host(kind, snapshot)

    @api.model
    def microsaas_ask_for_staging(self, instance_id, snapshot):
        """Make a staging copy of an instance, as an operator does on the sidecar's host.

        :param snapshot: of a proven backup of the instance
        :return: the id of the copy, an instance of its own
        :raise UserError: as the button refuses it: no such backup, not proven, suspended, there is a copy
        """
        return self._for_sidecar("odoo.docker.instance").browse(instance_id)._stage_from_host(snapshot)

    @api.model
    def microsaas_job(self, job_id):
        """Return how far a job is.

        :return: dict of `state` (waiting, running, done, failed), `message` (a sentence in English, or ""), `percent`
        """
        return self._for_sidecar("microsaas.job").browse(job_id)._progress_row()

    @api.model
    def microsaas_report_backups(self, instance_id, backups, failure=False):
        """Say which backups an instance has: nobody's wish, so it makes nothing due. An instance that is gone is ignored.

        :param backups: all of them, as the repository has them now; those that are not in it any more are forgotten here
            too. A list of dicts of `snapshot` (64 hexadecimal digits), `date` (UTC text), `size` (bytes), `proof` (none,
            data, boot, failed), `proof_date` (UTC text or False), `reason` and `detail` (why a proof failed), `kept`
            (newest, daily, weekly, monthly, proven, end, by_hand, before_restore; "" for no reason). False: nobody knows
        :param failure: False; or why no backup could be made now, a dict of `reason` and `detail`. A day has one, the last
        :return: True
        :raise ValidationError: a snapshot's id that is none
        """
        instance = self._for_sidecar("odoo.docker.instance").browse(instance_id).exists()
        rows = self._for_sidecar("microsaas.backup")
        if instance and backups is not False:
            rows._apply_list(instance, backups)
        if instance and failure:
            rows._note_failure(instance, failure["reason"], failure["detail"])
        return True

    @api.model
    def microsaas_report_manager_backups(self, last_backup, last_proof, failure=False):
        """Say which backups of this database itself there are, with its files and the sidecar's configuration.

        :param last_backup: when the newest was made, in seconds since 1970; 0 for none
        :param last_proof: when the newest was made that was restored for proof; 0 for none
        :param failure: False; or why no backup could be made now, a dict of `reason` and `detail`
        :return: True
        """
        self._for_sidecar("microsaas.sidecar")._report_manager_backups(last_backup, last_proof, failure)
        return True

    # -- the door: who is where, and what is said where nobody answers --------------------------

    @api.model
    def microsaas_routes(self):
        """Return names and ports of every instance whose data are not removed, for the door.

        :return: list of dicts of `id`, `http_port` and `longpolling_port` (0: none), `subdomain`, `former_subdomains` and
            `domains` (as in `microsaas_desired`), `is_copy` (a staging copy, which search engines leave out)
        """
        return self._for_sidecar("odoo.docker.instance")._routes()

    @api.model
    def microsaas_page(self, host, instance_id, language=""):
        """Return what the visitor of an instance that does not answer is to read, in the customer's language.

        :param host: the host name that was asked for, any text
        :param instance_id: whose the sidecar takes it to be; 0: nobody's, and then it is looked for by its name
        :param language: in which a visitor likes to read that it is nobody's, as `es`; "": in the company's
        :return: dict of `status` (HTTP: 503 it is prepared, starts, is stopped or in error; 402 suspended; 410 removed;
            404 nobody's), `retry_after` (seconds, 0: nothing changes by itself), `lang` (as `es_ES`), `title`, `lines`
            (list of sentences), `action` and `second_action` (False, or `label` and `url`), `company` (its name), `logo_url` ("" for none)
        """
        return self._for_sidecar("microsaas.state.page")._page(host, instance_id, language)

    @api.model
    def microsaas_domains(self, domain_ids):
        """Return customers' own domains as they are to be checked; those are left out that are gone, or whose data are.

        :return: list of dicts of `id`, `instance_id`, `name`, `token` (what the door answers, and the TXT record of
            `_microsaas.<name>` says), `cnames` (host names: a CNAME to one of them proves whose it is; none where it is or
            was lately another customer's), `state` (pending, verified, failed), `reason` ("" for none), the moments `created_at`, `checked_at`, `failing_since` (since when each report had a reason) and
            `certificate_until`; "" for none
        """
        return self._for_sidecar("microsaas.domain").browse(domain_ids)._to_check()

    @api.model
    def microsaas_report_domain(self, domain_id, state, reason="", detail="", certificate_until=False, proof=""):
        """Write what was found out about a customer's own domain; one that is gone meanwhile is ignored.

        One that is proven by a TXT record is nobody else's from then on. One that is not proven, or by its CNAME while it is
        another customer's, becomes verified by no report.

        :param state: "pending"; "verified": it leads here, or did so until some days ago; "failed": it has stopped
        :param reason: one CamelCase word, "" for none: DomainNotFound, DomainElsewhere, DomainUnproven,
            DomainUnreachable, DomainAnswersWrong, DomainStoppedLeadingHere
        :param detail: what it is about: for DomainElsewhere the addresses that were found
        :param certificate_until: when its certificate ends, in UTC; False for none
        :param proof: by what DNS says whose it is: "txt", "cname", or "" where it does not
        :return: True
        """
        domain = self._for_sidecar("microsaas.domain").browse(domain_id).exists()
        if domain:
            domain._apply_report(state, reason, detail, certificate_until, proof)
        return True

    # -- the suspension limit ------------------------------------------------------------------

    @api.model
    def microsaas_recent_suspensions(self, instance_id):
        """Return how many instances were suspended or removed by themselves within the last hour, before this one is.

        :return: dict of `taken`, `fleet` (all that have data) and `is_approved` (a person has approved this one)
        """
        return self._for_sidecar("microsaas.brake")._recent_suspensions(instance_id)

    @api.model
    def microsaas_request_approval(self, instance_id, taken, fleet):
        """Ask people whether this instance, and all others that are due, may be suspended or removed.

        :param taken: how many were within the last hour
        :param fleet: how many instances have data
        :return: True
        """
        self._for_sidecar("microsaas.brake")._request_approval(instance_id, taken, fleet)
        return True
