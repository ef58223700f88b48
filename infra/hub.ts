/** The CDK app, made from settings: app.ts and the tests synthesise the same. */
import { App, Tags, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { type Bundle, bundle as bundled } from './bundle.ts';
import { type HubSettings, readSettings } from './settings.ts';
import { BudgetStack } from './stacks/budget-stack.ts';
import { HubStack } from './stacks/hub-stack.ts';

export interface Hub {
  readonly app: App;
  readonly settings: HubSettings;
  readonly stack: HubStack;
}

/** CloudFormation's own rules end the synthesis too, as cdk-nag's do. */
const FLAGS = { '@aws-cdk/core:validateAgainstDefaultRules': true };

export interface HubOptions {
  /** Tests give these two; the CLI hands them over by itself. */
  readonly context?: Readonly<Record<string, unknown>>;
  readonly outdir?: string;
  readonly bundle?: Bundle;
}

export function createHub({ context, outdir, bundle = bundled }: HubOptions = {}): Hub {
  const app = new App({
    context: { ...FLAGS, ...context },
    ...(outdir === undefined ? {} : { outdir }),
    analyticsReporting: false,
  });
  const settings = readSettings(key => app.node.tryGetContext(key));
  const env = settings.region === undefined ? {} : { env: { region: settings.region } };
  const stack = new HubStack(app, settings.name, {
    ...env,
    settings,
    bundle,
    description: 'The hub of HoneyMesh: advice between sites that cannot reach each other',
  });
  if (settings.mail !== undefined)
    new BudgetStack(app, `${settings.name}-budget`, { ...env, name: settings.name, mail: settings.mail, dollars: settings.budget });
  Tags.of(app).add('application', settings.name);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  return { app, settings, stack };
}
