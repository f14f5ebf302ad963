BEGIN TRANSACTION;
CREATE TABLE openai_realtime_alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT openai_realtime_alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "openai_realtime_alembic_version" VALUES('0009');
CREATE TABLE openai_realtime_attempt (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	attempt_id VARCHAR(36) NOT NULL, 
	line VARCHAR(200) NOT NULL, 
	campaign VARCHAR(200) NOT NULL, 
	contact VARCHAR(200) NOT NULL, 
	attempt INTEGER NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	owner VARCHAR(64), 
	correlation_id VARCHAR(64) NOT NULL, 
	to_number VARCHAR(128), 
	carrier_call_id VARCHAR(255), 
	outcome VARCHAR(64), 
	call_id VARCHAR(255), 
	detail TEXT, 
	created_at DOUBLE NOT NULL, 
	updated_at DOUBLE NOT NULL, claimant VARCHAR(800), 
	CONSTRAINT uq_openai_realtime_attempt UNIQUE (line, campaign, contact, attempt), 
	UNIQUE (attempt_id)
);
INSERT INTO "openai_realtime_attempt" VALUES(1,'92f9a08d-60d2-47fb-b36f-5b5833f515cf','support','spring','reserved',1,'reserved',NULL,'d8791db1c4bec3daa549f1f07dea70c5','+14155550140',NULL,NULL,NULL,NULL,1.79603929579323410986e+09,1.79603929579323410986e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/dial/-1');
INSERT INTO "openai_realtime_attempt" VALUES(2,'807fe609-b75b-4a5d-b225-8b3a7f121ded','support','spring','dialing',1,'dialing','try-1','cb718b07c370c27fbcc14656354a6087','+14155550140',NULL,NULL,NULL,NULL,1.79603929580231809612e+09,1.79603929580779695515e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/dial/-1');
INSERT INTO "openai_realtime_attempt" VALUES(3,'02d19b08-be86-4eae-9509-2847a94a1fc6','support','spring','unknown',1,'unknown','try-1','7ea7bb4390512de7ab10f00ce9bbd7e6','+14155550140',NULL,NULL,NULL,'no answer of the carrier',1.79603929581579303742e+09,1.79603929585698103904e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/dial/-1');
INSERT INTO "openai_realtime_attempt" VALUES(4,'6a08341f-23e8-4b23-b63f-ec0cfc7d005d','support','spring','busy',1,'ended','try-1','3ba81c42c756861a44625e6c85c10a4e','+14155550140','CA11111111111111111111111111111111','busy',NULL,NULL,1.79603929586895608898e+09,1.79603929588589811324e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/dial/-1');
INSERT INTO "openai_realtime_attempt" VALUES(5,'b90320d1-4410-41eb-afe6-592b7b0d97d2','support','spring','refused',1,'ended','try-1','8a59a290c0e93174083a7517c6295e62','+14155550140',NULL,'failed',NULL,'21211',1.79603929589175891883e+09,1.79603929590168094631e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/dial/-1');
INSERT INTO "openai_realtime_attempt" VALUES(6,'4f0c34b3-da88-4ed2-a2fb-31a0cf25a60b','support','spring','a very long contact a very long contact a very long contact a very long contact a very long contact a very long contact a very long con~25ad84bf71137c59678d93e0eef26a2b85fb270769ee4a30f4baf1852cc7966d',1,'dialing','try-1','3bc530e11c080b15b512308cd1720365','+14155550140',NULL,NULL,NULL,NULL,1.79603929591132497785e+09,1.79603929592498707777e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/dial/-1');
INSERT INTO "openai_realtime_attempt" VALUES(7,'c3974733-16fc-4768-affa-450d8b729f47','support','spring','placed',1,'placed','13459f6d8ebb494888ffe29e1c07fdbe','3654831230a1cc42247b978ca0e10d6b','+14155550141','CA582b653f6c39497f99b996b46240aa9c',NULL,NULL,NULL,1.79603929621150493626e+09,1.79603929631429100038e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/place/-1');
INSERT INTO "openai_realtime_attempt" VALUES(8,'33bd0ff2-d110-42de-b986-0210ebb837ef','support','spring','+14155550142',1,'placed','f906cefd24ee4304affe89ad3faff03b','c4f78e77afaebd66ca70d01f0d033871','+14155550142','CA4111c7bfb4f644e9bad69bb97bbdd914',NULL,'rtc_u1_bc4691317ced4c89a9327c8d76c07076',NULL,1796039296.5321,1.79603929661052203175e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/place_and_talk/-1');
CREATE TABLE openai_realtime_call (
	line VARCHAR(200) NOT NULL, 
	call_id VARCHAR(255) NOT NULL, 
	webhook_id VARCHAR(255), 
	state VARCHAR(16) NOT NULL, 
	version INTEGER NOT NULL, 
	from_number VARCHAR(128), 
	to_number VARCHAR(128), 
	headers TEXT NOT NULL, 
	media_security VARCHAR(64), 
	received_at DOUBLE NOT NULL, 
	expires_at DOUBLE NOT NULL, 
	claimed_by VARCHAR(500), 
	claimed_at DOUBLE, 
	accepted_at DOUBLE, 
	hangup_at DOUBLE, 
	ended_at DOUBLE, 
	end_reason VARCHAR(200), 
	status_code INTEGER, 
	target_uri VARCHAR(1024), 
	hangup_tries INTEGER NOT NULL, 
	hangup_not_before DOUBLE, order_lease_until DOUBLE, end_wanted VARCHAR(200), end_wanted_by VARCHAR(500), end_wanted_at DOUBLE, end_due_at DOUBLE, ended_by VARCHAR(500), end_witness VARCHAR(16), talk_seconds DOUBLE, hangup_sent_at DOUBLE, transfer_state VARCHAR(20), 
	PRIMARY KEY (line, call_id), 
	CONSTRAINT uq_openai_realtime_call_webhook UNIQUE (line, webhook_id)
);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_f85aa11906e34cec83758d7d565faa4b','wh_6e6d73b02c04400e8dcf4368026743cc','missed',1,'+14155550101','+14155550100','{"from": "\"+14155550101\" <sip:+14155550101@trunk.simulator.invalid>;tag=265c0e7a7a", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "6b19da2f33954e9ba09862f985924736@trunk.simulator.invalid", "contact": "<sip:+14155550101@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.79603928077509808532e+09,1.79603928177509808536e+09,NULL,NULL,NULL,NULL,1.79603928273335504538e+09,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('sales','rtc_u1_9557649a253d45449ee010c461d1e078','wh_e9bb40610624446986168e2f01941259','ringing',0,'+14155550171','+14155550200','{"from": "\"+14155550171\" <sip:+14155550171@trunk.simulator.invalid>;tag=5a708c0041", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "3e4301542dad4c0e9cc1fc8b8c423306@trunk.simulator.invalid", "contact": "<sip:+14155550171@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550200@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.79603928650728607175e+09,1.79604288650728607175e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_2e049e44ffbb4d09b405427fbfa8f09d','wh_b63f23ae9e6b47fd97b9edae55f38ac3','rejected',2,'+14155550102','+14155550100','{"from": "\"+14155550102\" <sip:+14155550102@trunk.simulator.invalid>;tag=9867329790", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "ad4ab52d086a4161bcba7a30d30730c4@trunk.simulator.invalid", "contact": "<sip:+14155550102@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.79603929275239706034e+09,1.79604289275239706043e+09,NULL,NULL,NULL,NULL,1.79603929288218402862e+09,'rejected',486,NULL,0,1.79603929785421299932e+09,NULL,'rejected','campaign/scheduled__2026-11-22T08:00:00+00:00/reject/-1',1.79603929285421299935e+09,1.79603929285421299935e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/reject/-1','api',NULL,1.79603929285421299935e+09,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_905a79a992274963ae13c239722daf0a','wh_94bc7019944f4fdb8752bf1ea551e59f','rejected',2,'+14155550131','+14155550100','{"from": "\"+14155550131\" <sip:+14155550131@trunk.simulator.invalid>;tag=6d1901cda5", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "f55e81f4ef6e4c5e81b4aa18f1daf85f@trunk.simulator.invalid", "contact": "<sip:+14155550131@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.79603929293090200424e+09,1.79604289293090200419e+09,'order:no',1.79603929293760490419e+09,NULL,NULL,1.7960392929704289436e+09,'rejected',603,NULL,0,1.79603929795022201542e+09,1.79603929493760490422e+09,'rejected','order:no',1.79603929295022201532e+09,1.79603929295022201532e+09,'order:no','api',NULL,1.79603929295022201532e+09,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_59aa39c0a1424ce293ba52c1b9ca744f','wh_4ac0b4162cba4daf9e0e047a3443a3cd','ended',4,'+14155550103','+14155550100','{"from": "\"+14155550103\" <sip:+14155550103@trunk.simulator.invalid>;tag=50c9f35135", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "0ad30c4ebaf84e90af7f7e17a4824637@trunk.simulator.invalid", "contact": "<sip:+14155550103@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.79603929300209403038e+09,1.79604289300209403034e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/hung_up/-1',1.79603929307960605626e+09,1.7960392930923879146e+09,1.79603989307960605625e+09,1.79603929324119091035e+09,'hung_up',NULL,NULL,0,1.7960392982034890652e+09,NULL,'hung_up','campaign/scheduled__2026-11-22T08:00:00+00:00/hang_up/-1',1.79603929320348906515e+09,1.79603929320348906515e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/hang_up/-1','api',NULL,1.79603929320348906515e+09,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_86fdeb6c55f243479ee632f55204c775','wh_c62dde2922bc4b88a4540454c729a9fc','ended',3,'+14155550104','+14155550100','{"from": "\"+14155550104\" <sip:+14155550104@trunk.simulator.invalid>;tag=d3fc0c6b41", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "cd595042b2d24491a122a6132a30e660@trunk.simulator.invalid", "contact": "<sip:+14155550104@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.79603929310379695888e+09,1.79604289310379695897e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/carrier_ended/-1',1.79603929312118506429e+09,1.79603929313081407551e+09,1.79603989312118506429e+09,1.79603929325501799588e+09,'completed',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,'caller','carrier',42.5,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_65699f059292492aa686c205277d2fd3','wh_5bfa1a2482474bceb41baea273deaaeb','ended',3,'+14155550105','+14155550100','{"from": "\"+14155550105\" <sip:+14155550105@trunk.simulator.invalid>;tag=1193fd5a89", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "4670a097c9c94e12b39f5901b9b92b1a@trunk.simulator.invalid", "contact": "<sip:+14155550105@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.79603929314388394353e+09,1.79604289314388394357e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/gone/-1',1.79603929317398691182e+09,1.79603929318976402286e+09,1.79603989317398691182e+09,1.79603929326257705689e+09,'gone',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'found_gone',NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_569a0717acc844c98691172e55755f5f','wh_48d0a902fca54847a03d267a21f5e321','ended',3,'+14155550106','+14155550100','{"from": "\"+14155550106\" <sip:+14155550106@trunk.simulator.invalid>;tag=a751d6de6d", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "cf4ea875e3e649fd9208f9b56118798e@trunk.simulator.invalid", "contact": "<sip:+14155550106@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.79603929327239298817e+09,1.79604289327239298825e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/talk/-1',1.79603929332632088655e+09,1.79603929334052610398e+09,1.79603989332632088659e+09,1.79603929569428205485e+09,'end_call',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,'agent','api',NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_bc4691317ced4c89a9327c8d76c07076','wh_0ef57492dd904423be78722dd1ccef3b','ringing',0,'+14155550100',NULL,'{"from": "\"+14155550100\" <sip:+14155550100@pstn.simulator.invalid>;tag=97a450209e", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "1be4349682b8424eb36747784676f56e@pstn.simulator.invalid", "contact": "<sip:+14155550100@pstn.simulator.invalid:5061;transport=tls>", "x-twilio-callsid": "CAddca13e9c1084ff1a4af7937377a636e", "x-twilio-accountsid": "AC00000000000000000000000000000001", "x-correlation-id": "c4f78e77afaebd66ca70d01f0d033871"}','srtp',1.79603929673834109307e+09,1.79604289673834109303e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_130924a5b4ce4789a4c3325cf6b38a95','wh_6516c8de670a4002b65dcbd7f5dabf8a','accepted',2,'+14155550151','+14155550100','{"from": "\"+14155550151\" <sip:+14155550151@trunk.simulator.invalid>;tag=6e0a5fa9a2", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "ed38ab56ec654e69b6fd6312ccb8b0e7@trunk.simulator.invalid", "contact": "<sip:+14155550151@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.79603929697861695296e+09,1.79604289697861695292e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/live/-1',1.79603929706898903851e+09,1.79603929709404611589e+09,1.79603959706898903847e+09,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_e99af19281394b3a81e0305a20eefac6','wh_1183cfb9beb6453aa01e31f4af9c2bef','accepted',2,'+14155550152','+14155550100','{"from": "\"+14155550152\" <sip:+14155550152@trunk.simulator.invalid>;tag=370aba93fc", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "fbea6df700784d2eb25b6a142b6f35d1@trunk.simulator.invalid", "contact": "<sip:+14155550152@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1796039297.20172,1796042897.20172,'campaign/scheduled__2026-11-22T08:00:00+00:00/live_longer/-1',1.79603929722055792811e+09,1.79603929723186397557e+09,1.79603989722055792811e+09,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_9217e10d915d4ea6b114c7cb595a1d0a','wh_06adf989ccd04aea935dc1b10c65cef9','accepted',4,'+14155550153','+14155550100','{"from": "\"+14155550153\" <sip:+14155550153@trunk.simulator.invalid>;tag=c9cac99dc0", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "906b2c2e234c4d36858a1850ef7a3d8e@trunk.simulator.invalid", "contact": "<sip:+14155550153@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.79603929724735093117e+09,1.79604289724735093113e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/transferred/-1',1.79603929726273298258e+09,1.79603929727247309689e+09,1.79603989726273298261e+09,NULL,NULL,NULL,'tel:+14155550190',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'transfer_requested');
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_56e677458a124223a27168dd77101027','wh_ed920bc602264a96aea1279dd9147478','accepted',3,'+14155550154','+14155550100','{"from": "\"+14155550154\" <sip:+14155550154@trunk.simulator.invalid>;tag=a4e98cfbca", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "766c582f7b31489690854a75fa3d09d7@trunk.simulator.invalid", "contact": "<sip:+14155550154@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.79603929737483191493e+09,1.79604289737483191488e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/transfer_wanted/-1',1.79603929754265594477e+09,1796039297.62101,1.79603989754265594477e+09,NULL,NULL,NULL,'tel:+14155550191',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'wanted');
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_3022744bc7b646f19de82ab6e76bc2a2','wh_ab1884a201b54a47a9ba7f458b659af0','accepted',3,'+14155550155','+14155550100','{"from": "\"+14155550155\" <sip:+14155550155@trunk.simulator.invalid>;tag=af660d5890", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "d715814a97264079bb1c408aae1f4836@trunk.simulator.invalid", "contact": "<sip:+14155550155@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.7960392977043509483e+09,1.7960428977043509483e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/holder_lost/-1',1.79603929779715895654e+09,1.79603929782494711872e+09,1.79603989779715895657e+09,NULL,NULL,NULL,NULL,0,NULL,NULL,'killed','campaign/run/talk/-1',1.7960392978341119289e+09,1.79603969783411192891e+09,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_7e8ec09bf77e49e8ab3c9487d2502bc6','wh_250c7fb87262402fb541fc7866f709be','accepted',1,'+14155550111','+14155550100','{"from": "\"+14155550111\" <sip:+14155550111@trunk.simulator.invalid>;tag=e43b343b15", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "64d3a65e5c274847a7e3c9df033a4188@trunk.simulator.invalid", "contact": "<sip:+14155550111@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1796039297.91423,1796042897.91423,'order:day',1.79603929791456103318e+09,1.79603929799268603327e+09,1.79603989791456103322e+09,NULL,NULL,NULL,NULL,0,NULL,1.79603929991456103326e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_c199d0fc60444fe99d3195a8a3c07b59','wh_221e775c157f47ec921caf692174130d','accepted',2,'+14155550112','+14155550100','{"from": "\"+14155550112\" <sip:+14155550112@trunk.simulator.invalid>;tag=b445f3817b", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "cc41da35f68449dd89e284d4237e03d4@trunk.simulator.invalid", "contact": "<sip:+14155550112@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1796039298.05843,1796042898.05843,'campaign/scheduled__2026-11-22T08:00:00+00:00/take_over/-1',1.796039298248306036e+09,1.79603929813649106032e+09,1.7960398980598950386e+09,NULL,NULL,NULL,NULL,0,NULL,1.79603930005989503859e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_a1727e0aa9204c5ba11edb3a1ca9f0f5','wh_7cda560d273f48249f28b466c9fd5542','accepted',2,'+14155550121','+14155550100','{"from": "\"+14155550121\" <sip:+14155550121@trunk.simulator.invalid>;tag=3c091536e7", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "8fd68c15b0df459eb577ba6456ed549a@trunk.simulator.invalid", "contact": "<sip:+14155550121@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.79603929818588590626e+09,1.79604289818588590621e+09,'order:few',1.79603929819063806534e+09,1796039298.21108,1.79603989819063806533e+09,NULL,NULL,NULL,NULL,0,NULL,1.79603930019063806533e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_4bb5c42876b5411badffc2fc77e76bf7','wh_55e925036cfa413bb5b6dbbce9565fcb','accepted',2,'+14155550156','+14155550100','{"from": "\"+14155550156\" <sip:+14155550156@trunk.simulator.invalid>;tag=c83220defa", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "bfc0e79989e84f66ab068af7ced73e10@trunk.simulator.invalid", "contact": "<sip:+14155550156@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.796039298261423111e+09,1.796042898261423111e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/held/-1',1.79603929831655192376e+09,1.7960392983838040829e+09,1.79603979831655192374e+09,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_01f4f8011b9c4c3ab821e9aa028cb519','wh_2cf0f27880c8439e8b29863e92ea4415','accepted',5,'+14155550161','+14155550100','{"from": "\"+14155550161\" <sip:+14155550161@trunk.simulator.invalid>;tag=c19ad2b77a", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "0ca5f79bdf7741639dc8546b1f318e4f@trunk.simulator.invalid", "contact": "<sip:+14155550161@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.79603930162356710434e+09,1.79604290162356710434e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/overdue/-1',1.79603930166454100613e+09,1.79603930168490195278e+09,1.79603930266454100603e+09,NULL,NULL,NULL,NULL,3,1.79603931593882489197e+09,NULL,'max_duration','limit',1.79603930266454100603e+09,1.79603930266454100603e+09,NULL,NULL,NULL,1796039310.26927,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_b14e0c9ea8534efaba05550b292e1652','wh_45e0e8f8322c44b583c0e23552b2fd02','claimed',2,'+14155550162','+14155550100','{"from": "\"+14155550162\" <sip:+14155550162@trunk.simulator.invalid>;tag=03f7e2e44f", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "4ed8912472af4bb28a34459a7e26a9d4@trunk.simulator.invalid", "contact": "<sip:+14155550162@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1796039312.02751,1796042912.02751,'campaign/scheduled__2026-11-22T08:00:00+00:00/in_doubt/-1',1.79603931206461691857e+09,NULL,1.79603951206461691855e+09,NULL,'accept_failed',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_57e0ff9f0b7c4f61b7cf1197fbcffe22','wh_83525abed43344988d6d563b251c2107','claimed',0,'+14155550113','+14155550100','{"from": "\"+14155550113\" <sip:+14155550113@trunk.simulator.invalid>;tag=283c5d61eb", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "ebbe42d7be93493db901ed5cee299d18@trunk.simulator.invalid", "contact": "<sip:+14155550113@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1796039312.12809,1796042912.12809,'order:day',1.79603931215578103064e+09,NULL,1.79603991215578103063e+09,NULL,NULL,NULL,NULL,0,NULL,1.79603931500660395624e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_97cd12e89f6d4b36a518818c66500652','wh_658adfbc06994bc0bc2afbfcf914f038','ringing',0,'+14155550163','+14155550191','{"from": "\"+14155550163\" <sip:+14155550163@trunk.simulator.invalid>;tag=672474cbed", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "fe938062d81a411ea4625e43f82a8d53@trunk.simulator.invalid", "contact": "<sip:+14155550163@trunk.simulator.invalid:5061;transport=tls>", "x-name": "Zo\u00eb \u201cZ\u201d O''Neil", "x-queue": "vip", "diversion": "<sip:+14155550191@carrier.example>"}','srtp',1.79603931224322891238e+09,1.79604291224322891234e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_a3d63c9e0d634942a7c69da84434286e','wh_e410dec6c65c46c7aec9f08171cad40b','claimed',1,'+14155550164','+14155550100','{"from": "\"+14155550164\" <sip:+14155550164@trunk.simulator.invalid>;tag=139f3c0d8e", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "b71bba63ffc742439abac0dba72d90f6@trunk.simulator.invalid", "contact": "<sip:+14155550164@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.79603931227033400538e+09,1.79604291227033400534e+09,'campaign/scheduled__2026-11-22T08:00:00+00:00/claim/-1',1.79603931231606197358e+09,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "openai_realtime_call" VALUES('support','rtc_u1_567fc37bdc0843328a50f45f717d6754','wh_bbc35a6001e24cb6a73959104e00ced0','ringing',1,'+14155550165','+14155550100','{"from": "\"+14155550165\" <sip:+14155550165@trunk.simulator.invalid>;tag=4219c16374", "to": "<sip:proj_simulator@sip.api.openai.com;transport=tls>", "call-id": "48b13f57a72c4e5687a3ca775ac235a5@trunk.simulator.invalid", "contact": "<sip:+14155550165@trunk.simulator.invalid:5061;transport=tls>", "diversion": "<sip:+14155550100@trunk.simulator.invalid>;reason=unconditional"}','srtp',1.79603931236712098117e+09,1.79604291236712098125e+09,NULL,NULL,NULL,NULL,NULL,NULL,480,NULL,0,1.79603931740110802652e+09,NULL,'rejected','admin',1.79603931240110802655e+09,1.79603931240110802655e+09,NULL,NULL,NULL,1.79603931240110802655e+09,NULL);
CREATE TABLE openai_realtime_conversation (
	line VARCHAR(200) NOT NULL, 
	call_id VARCHAR(255) NOT NULL, 
	holder VARCHAR(500) NOT NULL, 
	generation INTEGER NOT NULL, 
	opened_at DOUBLE NOT NULL, 
	saved_at DOUBLE NOT NULL, 
	finished_at DOUBLE, 
	outcome VARCHAR(64), 
	result TEXT, 
	entry_count INTEGER NOT NULL, 
	entry_bytes INTEGER NOT NULL, process VARCHAR(64), standby_by VARCHAR(64), standby_until DOUBLE, heard_until DOUBLE, 
	PRIMARY KEY (line, call_id)
);
INSERT INTO "openai_realtime_conversation" VALUES('support','rtc_u1_569a0717acc844c98691172e55755f5f','campaign/scheduled__2026-11-22T08:00:00+00:00/talk/-1',1,1.796039293522507906e+09,1796039295.76122,1796039295.76122,'completed','{"call_id":"rtc_u1_569a0717acc844c98691172e55755f5f","line":"support","outcome":"completed","reason":"end_call","ended_at":"2026-11-30T11:48:15.694282+00:00","accepted_at":"2026-11-30T11:48:13.340526+00:00","talk_seconds":2.354,"result":{"score":5},"result_valid":true,"result_problems":[],"turns":{"caller":0,"agent":2},"keys":"","tools":[{"name":"record_result","status":"ok"},{"name":"end_call","status":"ok"}],"transfer":null,"usage":{"responses":3,"total_tokens":376,"input_text_tokens":360,"input_audio_tokens":0,"input_image_tokens":0,"cached_text_tokens":0,"cached_audio_tokens":0,"cached_image_tokens":0,"output_text_tokens":2,"output_audio_tokens":14,"unsorted_tokens":0,"transcribed":0,"transcription_seconds":0.0,"transcription_input_tokens":0,"transcription_output_tokens":0},"cost":{"usd":0.002384,"model":"gpt-realtime-2.1","priced_on":"2026-11-22","without":[]},"errors":[],"resumed":false,"gap_seconds":0.0,"transcript_path":null}',12,1749,'d3328c2662ae4d9f85146569c52b078b',NULL,NULL,NULL);
INSERT INTO "openai_realtime_conversation" VALUES('support','rtc_u1_4bb5c42876b5411badffc2fc77e76bf7','campaign/scheduled__2026-11-22T08:00:00+00:00/held/-1',2,1.79603929851187801361e+09,1.79603930160170698168e+09,NULL,NULL,NULL,4,245,'triggerer-1','66d07bb41f384b6caf7c8382efe08c53',1.79603931577416205405e+09,1.79603931277416205411e+09);
CREATE TABLE openai_realtime_feed (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	line VARCHAR(200) NOT NULL, 
	call_id VARCHAR(255) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	at DOUBLE NOT NULL
);
INSERT INTO "openai_realtime_feed" VALUES(1,'support','rtc_u1_f85aa11906e34cec83758d7d565faa4b','ringing',1.79603928077509808532e+09);
INSERT INTO "openai_realtime_feed" VALUES(2,'support','rtc_u1_f85aa11906e34cec83758d7d565faa4b','missed',1.79603928273274803155e+09);
INSERT INTO "openai_realtime_feed" VALUES(3,'sales','rtc_u1_9557649a253d45449ee010c461d1e078','ringing',1.79603928650728607175e+09);
INSERT INTO "openai_realtime_feed" VALUES(4,'support','rtc_u1_2e049e44ffbb4d09b405427fbfa8f09d','ringing',1.79603929275239706034e+09);
INSERT INTO "openai_realtime_feed" VALUES(5,'support','rtc_u1_2e049e44ffbb4d09b405427fbfa8f09d','rejected',1.79603929288220596311e+09);
INSERT INTO "openai_realtime_feed" VALUES(6,'support','rtc_u1_905a79a992274963ae13c239722daf0a','claimed',1.79603929293090200424e+09);
INSERT INTO "openai_realtime_feed" VALUES(7,'support','rtc_u1_905a79a992274963ae13c239722daf0a','rejected',1.79603929297043895716e+09);
INSERT INTO "openai_realtime_feed" VALUES(8,'support','rtc_u1_59aa39c0a1424ce293ba52c1b9ca744f','ringing',1.79603929300209403038e+09);
INSERT INTO "openai_realtime_feed" VALUES(9,'support','rtc_u1_59aa39c0a1424ce293ba52c1b9ca744f','claimed',1.79603929307964301107e+09);
INSERT INTO "openai_realtime_feed" VALUES(10,'support','rtc_u1_59aa39c0a1424ce293ba52c1b9ca744f','accepted',1.79603929309242296222e+09);
INSERT INTO "openai_realtime_feed" VALUES(11,'support','rtc_u1_86fdeb6c55f243479ee632f55204c775','ringing',1.79603929310379695888e+09);
INSERT INTO "openai_realtime_feed" VALUES(12,'support','rtc_u1_86fdeb6c55f243479ee632f55204c775','claimed',1.79603929312121391292e+09);
INSERT INTO "openai_realtime_feed" VALUES(13,'support','rtc_u1_86fdeb6c55f243479ee632f55204c775','accepted',1.79603929313085603717e+09);
INSERT INTO "openai_realtime_feed" VALUES(14,'support','rtc_u1_65699f059292492aa686c205277d2fd3','ringing',1.79603929314388394353e+09);
INSERT INTO "openai_realtime_feed" VALUES(15,'support','rtc_u1_65699f059292492aa686c205277d2fd3','claimed',1.79603929317403507226e+09);
INSERT INTO "openai_realtime_feed" VALUES(16,'support','rtc_u1_65699f059292492aa686c205277d2fd3','accepted',1.79603929318979501725e+09);
INSERT INTO "openai_realtime_feed" VALUES(17,'support','rtc_u1_59aa39c0a1424ce293ba52c1b9ca744f','ended',1796039293.24122);
INSERT INTO "openai_realtime_feed" VALUES(18,'support','rtc_u1_86fdeb6c55f243479ee632f55204c775','ended',1.79603929325504207614e+09);
INSERT INTO "openai_realtime_feed" VALUES(19,'support','rtc_u1_65699f059292492aa686c205277d2fd3','ended',1.79603929326259589196e+09);
INSERT INTO "openai_realtime_feed" VALUES(20,'support','rtc_u1_569a0717acc844c98691172e55755f5f','ringing',1.79603929327239298817e+09);
INSERT INTO "openai_realtime_feed" VALUES(21,'support','rtc_u1_569a0717acc844c98691172e55755f5f','claimed',1.79603929332634711267e+09);
INSERT INTO "openai_realtime_feed" VALUES(22,'support','rtc_u1_569a0717acc844c98691172e55755f5f','accepted',1.79603929334055805204e+09);
INSERT INTO "openai_realtime_feed" VALUES(23,'support','rtc_u1_569a0717acc844c98691172e55755f5f','ended',1.79603929569938206671e+09);
INSERT INTO "openai_realtime_feed" VALUES(24,'support','rtc_u1_bc4691317ced4c89a9327c8d76c07076','ringing',1.79603929673834109307e+09);
INSERT INTO "openai_realtime_feed" VALUES(25,'support','rtc_u1_130924a5b4ce4789a4c3325cf6b38a95','ringing',1.79603929697861695296e+09);
INSERT INTO "openai_realtime_feed" VALUES(26,'support','rtc_u1_130924a5b4ce4789a4c3325cf6b38a95','claimed',1.79603929706902694699e+09);
INSERT INTO "openai_realtime_feed" VALUES(27,'support','rtc_u1_130924a5b4ce4789a4c3325cf6b38a95','accepted',1.79603929709407901765e+09);
INSERT INTO "openai_realtime_feed" VALUES(28,'support','rtc_u1_e99af19281394b3a81e0305a20eefac6','ringing',1796039297.20172);
INSERT INTO "openai_realtime_feed" VALUES(29,'support','rtc_u1_e99af19281394b3a81e0305a20eefac6','claimed',1.79603929722057890894e+09);
INSERT INTO "openai_realtime_feed" VALUES(30,'support','rtc_u1_e99af19281394b3a81e0305a20eefac6','accepted',1.79603929723191690446e+09);
INSERT INTO "openai_realtime_feed" VALUES(31,'support','rtc_u1_9217e10d915d4ea6b114c7cb595a1d0a','ringing',1.79603929724735093117e+09);
INSERT INTO "openai_realtime_feed" VALUES(32,'support','rtc_u1_9217e10d915d4ea6b114c7cb595a1d0a','claimed',1.79603929726275396349e+09);
INSERT INTO "openai_realtime_feed" VALUES(33,'support','rtc_u1_9217e10d915d4ea6b114c7cb595a1d0a','accepted',1.79603929727249693871e+09);
INSERT INTO "openai_realtime_feed" VALUES(34,'support','rtc_u1_9217e10d915d4ea6b114c7cb595a1d0a','referred',1.79603929729387593264e+09);
INSERT INTO "openai_realtime_feed" VALUES(35,'support','rtc_u1_9217e10d915d4ea6b114c7cb595a1d0a','referred',1796039297.31398);
INSERT INTO "openai_realtime_feed" VALUES(36,'support','rtc_u1_56e677458a124223a27168dd77101027','ringing',1.79603929737483191493e+09);
INSERT INTO "openai_realtime_feed" VALUES(37,'support','rtc_u1_56e677458a124223a27168dd77101027','claimed',1.79603929754268503184e+09);
INSERT INTO "openai_realtime_feed" VALUES(38,'support','rtc_u1_56e677458a124223a27168dd77101027','accepted',1.79603929762105894089e+09);
INSERT INTO "openai_realtime_feed" VALUES(39,'support','rtc_u1_56e677458a124223a27168dd77101027','referred',1.79603929769627094267e+09);
INSERT INTO "openai_realtime_feed" VALUES(40,'support','rtc_u1_3022744bc7b646f19de82ab6e76bc2a2','ringing',1.7960392977043509483e+09);
INSERT INTO "openai_realtime_feed" VALUES(41,'support','rtc_u1_3022744bc7b646f19de82ab6e76bc2a2','claimed',1.79603929779720211026e+09);
INSERT INTO "openai_realtime_feed" VALUES(42,'support','rtc_u1_3022744bc7b646f19de82ab6e76bc2a2','accepted',1796039297.82499);
INSERT INTO "openai_realtime_feed" VALUES(43,'support','rtc_u1_7e8ec09bf77e49e8ab3c9487d2502bc6','claimed',1796039297.91423);
INSERT INTO "openai_realtime_feed" VALUES(44,'support','rtc_u1_7e8ec09bf77e49e8ab3c9487d2502bc6','accepted',1.79603929797001290319e+09);
INSERT INTO "openai_realtime_feed" VALUES(45,'support','rtc_u1_c199d0fc60444fe99d3195a8a3c07b59','claimed',1796039298.05843);
INSERT INTO "openai_realtime_feed" VALUES(46,'support','rtc_u1_c199d0fc60444fe99d3195a8a3c07b59','accepted',1.79603929813468909263e+09);
INSERT INTO "openai_realtime_feed" VALUES(47,'support','rtc_u1_a1727e0aa9204c5ba11edb3a1ca9f0f5','ringing',1.79603929818588590626e+09);
INSERT INTO "openai_realtime_feed" VALUES(48,'support','rtc_u1_a1727e0aa9204c5ba11edb3a1ca9f0f5','claimed',1.79603929819063806534e+09);
INSERT INTO "openai_realtime_feed" VALUES(49,'support','rtc_u1_a1727e0aa9204c5ba11edb3a1ca9f0f5','accepted',1.79603929821038198469e+09);
INSERT INTO "openai_realtime_feed" VALUES(50,'support','rtc_u1_c199d0fc60444fe99d3195a8a3c07b59','claimed',1.7960392982483239174e+09);
INSERT INTO "openai_realtime_feed" VALUES(51,'support','rtc_u1_4bb5c42876b5411badffc2fc77e76bf7','ringing',1.796039298261423111e+09);
INSERT INTO "openai_realtime_feed" VALUES(52,'support','rtc_u1_4bb5c42876b5411badffc2fc77e76bf7','claimed',1.79603929831657505031e+09);
INSERT INTO "openai_realtime_feed" VALUES(53,'support','rtc_u1_4bb5c42876b5411badffc2fc77e76bf7','accepted',1.79603929838383388523e+09);
INSERT INTO "openai_realtime_feed" VALUES(54,'support','rtc_u1_01f4f8011b9c4c3ab821e9aa028cb519','ringing',1.79603930162356710434e+09);
INSERT INTO "openai_realtime_feed" VALUES(55,'support','rtc_u1_01f4f8011b9c4c3ab821e9aa028cb519','claimed',1.79603930166458606717e+09);
INSERT INTO "openai_realtime_feed" VALUES(56,'support','rtc_u1_01f4f8011b9c4c3ab821e9aa028cb519','accepted',1.79603930168493390083e+09);
INSERT INTO "openai_realtime_feed" VALUES(57,'support','rtc_u1_b14e0c9ea8534efaba05550b292e1652','ringing',1796039312.02751);
INSERT INTO "openai_realtime_feed" VALUES(58,'support','rtc_u1_b14e0c9ea8534efaba05550b292e1652','claimed',1.79603931206465411191e+09);
INSERT INTO "openai_realtime_feed" VALUES(59,'support','rtc_u1_57e0ff9f0b7c4f61b7cf1197fbcffe22','claimed',1796039312.12809);
INSERT INTO "openai_realtime_feed" VALUES(60,'support','rtc_u1_97cd12e89f6d4b36a518818c66500652','ringing',1.79603931224322891238e+09);
INSERT INTO "openai_realtime_feed" VALUES(61,'support','rtc_u1_a3d63c9e0d634942a7c69da84434286e','ringing',1.79603931227033400538e+09);
INSERT INTO "openai_realtime_feed" VALUES(62,'support','rtc_u1_a3d63c9e0d634942a7c69da84434286e','claimed',1.79603931231608700755e+09);
INSERT INTO "openai_realtime_feed" VALUES(63,'support','rtc_u1_567fc37bdc0843328a50f45f717d6754','ringing',1.79603931236712098117e+09);
CREATE TABLE openai_realtime_order (
	line VARCHAR(200) NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	revision VARCHAR(32) NOT NULL, 
	edition VARCHAR(500) NOT NULL, 
	conditions TEXT NOT NULL, 
	action VARCHAR(16) NOT NULL, 
	answer TEXT NOT NULL, 
	max_duration_seconds DOUBLE, 
	status_code INTEGER, 
	priority INTEGER NOT NULL, 
	uses INTEGER, 
	uses_left INTEGER, 
	expires_at DOUBLE, 
	unclaimed_after_seconds DOUBLE, 
	created_at DOUBLE NOT NULL, 
	updated_at DOUBLE NOT NULL, 
	PRIMARY KEY (line, name)
);
INSERT INTO "openai_realtime_order" VALUES('support','day','07e4b69a3eed4378b4b12f6b31ddede8','campaign/scheduled__2026-11-22T08:00:00+00:00/day/-1','{"from_number": "+1415555011*"}','accept','{"session": {"type": "realtime", "instructions": "Hi"}, "greeting": "Hi.", "caller_fields": null}',600.0,NULL,0,NULL,NULL,NULL,NULL,1.79603929255954909323e+09,1.79603929255954909323e+09);
INSERT INTO "openai_realtime_order" VALUES('support','few','8f478fd860a64a8abd33bbc9551aadd6','campaign/scheduled__2026-11-22T08:00:00+00:00/few/-1','{"from_number": "+14155550121"}','accept','{"session": {"type": "realtime", "instructions": "Hi"}, "greeting": null, "caller_fields": null}',600.0,NULL,0,3,2,NULL,NULL,1.79603929258308601382e+09,1.79603929258308601382e+09);
INSERT INTO "openai_realtime_order" VALUES('support','no','a27a5b82bd214471aa28988a93dc86d8','campaign/scheduled__2026-11-22T08:00:00+00:00/no/-1','{"from_number": "+14155550131"}','reject','{"session": {}, "greeting": null, "caller_fields": null}',NULL,603,9,NULL,NULL,NULL,NULL,1.79603929262271189691e+09,1.79603929262271189691e+09);
INSERT INTO "openai_realtime_order" VALUES('support','fallback','b4ae091dc5fd47458c9c8773b128e660','by-hand','{"to": "+14155550999", "headers": {"x-queue": "*"}}','accept','{"session": {"type": "realtime", "instructions": "Say hello to {name}."}, "greeting": null, "caller_fields": {"name": "headers.x-name"}}',120.0,NULL,0,NULL,NULL,1.79612569266964197155e+09,20.0,1.79603929267368698117e+09,1.79603929267368698117e+09);
CREATE TABLE openai_realtime_process (
	line VARCHAR(200) NOT NULL, 
	process VARCHAR(64) NOT NULL, 
	seen_at DOUBLE NOT NULL, 
	PRIMARY KEY (line, process)
);
INSERT INTO "openai_realtime_process" VALUES('support','d3328c2662ae4d9f85146569c52b078b',1.79603929567923498158e+09);
INSERT INTO "openai_realtime_process" VALUES('support','triggerer-1',1.79603929856489109989e+09);
CREATE TABLE openai_realtime_run_start (
	line VARCHAR(200) NOT NULL, 
	dag_id VARCHAR(250) NOT NULL, 
	run_id VARCHAR(250) NOT NULL, 
	first_started_at DOUBLE NOT NULL, 
	PRIMARY KEY (line, dag_id, run_id)
);
INSERT INTO "openai_realtime_run_start" VALUES('support','campaign','scheduled__2026-11-22T08:00:00+00:00',1795334405.0);
CREATE TABLE openai_realtime_timeline (
	seq INTEGER NOT NULL, 
	line VARCHAR(200) NOT NULL, 
	call_id VARCHAR(255) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	at DOUBLE NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT uq_openai_realtime_timeline UNIQUE (line, call_id, "key")
);
INSERT INTO "openai_realtime_timeline" VALUES(1,'support','rtc_u1_569a0717acc844c98691172e55755f5f','note:attached:1:1','note',1.7960392935710730553e+09,'{"what":"attached","session_id":"sess_de24e4b84e3d415c94eb986d","model":"gpt-realtime-2.1","transcription_model":null,"gap_seconds":0.0}');
INSERT INTO "openai_realtime_timeline" VALUES(2,'support','rtc_u1_569a0717acc844c98691172e55755f5f','note:greeted','note',1.7960392935710730553e+09,'{"what":"greeted"}');
INSERT INTO "openai_realtime_timeline" VALUES(3,'support','rtc_u1_569a0717acc844c98691172e55755f5f','agent:item_4fa6ebd5684447138c858721','agent',1.79603929366298604008e+09,'{"item_id":"item_4fa6ebd5684447138c858721","response_id":"resp_db2d9323b2844090a294ffa1","text":"Hi?"}');
INSERT INTO "openai_realtime_timeline" VALUES(4,'support','rtc_u1_569a0717acc844c98691172e55755f5f','usage:response:resp_db2d9323b2844090a294ffa1','usage',1.79603929366329193115e+09,'{"of":"response","usage":{"input_tokens":120,"output_tokens":8,"total_tokens":128,"input_token_details":{"text_tokens":120,"audio_tokens":0,"image_tokens":0,"cached_tokens":0,"cached_tokens_details":{"text_tokens":0,"audio_tokens":0,"image_tokens":0}},"output_token_details":{"text_tokens":1,"audio_tokens":7}}}');
INSERT INTO "openai_realtime_timeline" VALUES(5,'support','rtc_u1_569a0717acc844c98691172e55755f5f','usage:response:resp_16c97828842642aa89162681','usage',1.79603929522671198842e+09,'{"of":"response","usage":{"input_tokens":120,"output_tokens":0,"total_tokens":120,"input_token_details":{"text_tokens":120,"audio_tokens":0,"image_tokens":0,"cached_tokens":0,"cached_tokens_details":{"text_tokens":0,"audio_tokens":0,"image_tokens":0}},"output_token_details":{"text_tokens":0,"audio_tokens":0}}}');
INSERT INTO "openai_realtime_timeline" VALUES(6,'support','rtc_u1_569a0717acc844c98691172e55755f5f','tool_call:call_59928ab1999b4c21a14a944b','tool_call',1.79603929522671198842e+09,'{"tool_call_id":"call_59928ab1999b4c21a14a944b","name":"record_result","arguments":"{\"score\": 5}"}');
INSERT INTO "openai_realtime_timeline" VALUES(7,'support','rtc_u1_569a0717acc844c98691172e55755f5f','tool_result:call_59928ab1999b4c21a14a944b','tool_result',1.79603929524598693841e+09,'{"tool_call_id":"call_59928ab1999b4c21a14a944b","name":"record_result","status":"ok","output":"It was recorded.","value":{"score":5},"valid":true,"problems":[]}');
INSERT INTO "openai_realtime_timeline" VALUES(8,'support','rtc_u1_569a0717acc844c98691172e55755f5f','agent:item_005c3a85635b46a891ec31a1','agent',1.79603929530852293966e+09,'{"item_id":"item_005c3a85635b46a891ec31a1","response_id":"resp_f84a28e9fd7748fd975f1541","text":"Bye."}');
INSERT INTO "openai_realtime_timeline" VALUES(9,'support','rtc_u1_569a0717acc844c98691172e55755f5f','usage:response:resp_f84a28e9fd7748fd975f1541','usage',1.79603929531055808068e+09,'{"of":"response","usage":{"input_tokens":120,"output_tokens":8,"total_tokens":128,"input_token_details":{"text_tokens":120,"audio_tokens":0,"image_tokens":0,"cached_tokens":0,"cached_tokens_details":{"text_tokens":0,"audio_tokens":0,"image_tokens":0}},"output_token_details":{"text_tokens":1,"audio_tokens":7}}}');
INSERT INTO "openai_realtime_timeline" VALUES(10,'support','rtc_u1_569a0717acc844c98691172e55755f5f','tool_call:call_b40c709b3be84e0485e23fca','tool_call',1.79603929531055808068e+09,'{"tool_call_id":"call_b40c709b3be84e0485e23fca","name":"end_call","arguments":"{}"}');
INSERT INTO "openai_realtime_timeline" VALUES(11,'support','rtc_u1_569a0717acc844c98691172e55755f5f','note:ending:end_call','note',1.79603929564875602724e+09,'{"what":"ending","why":"end_call"}');
INSERT INTO "openai_realtime_timeline" VALUES(12,'support','rtc_u1_569a0717acc844c98691172e55755f5f','tool_result:call_b40c709b3be84e0485e23fca','tool_result',1.79603929569428205485e+09,'{"tool_call_id":"call_b40c709b3be84e0485e23fca","name":"end_call","status":"ok"}');
INSERT INTO "openai_realtime_timeline" VALUES(13,'support','rtc_u1_4bb5c42876b5411badffc2fc77e76bf7','note:attached:2:1','note',1.7960392985630440712e+09,'{"what":"attached"}');
INSERT INTO "openai_realtime_timeline" VALUES(14,'support','rtc_u1_4bb5c42876b5411badffc2fc77e76bf7','caller:1','caller',1.7960392985630440712e+09,'{"text":"Grüß Gott, 你好 👋"}');
INSERT INTO "openai_realtime_timeline" VALUES(15,'support','rtc_u1_4bb5c42876b5411badffc2fc77e76bf7','tool_call:fc_1','tool_call',1.7960392985630440712e+09,'{"name":"look","arguments":{}}');
INSERT INTO "openai_realtime_timeline" VALUES(16,'support','rtc_u1_4bb5c42876b5411badffc2fc77e76bf7','note:stood_by:f4dad9a73fc2:1','note',1.79603930143627810479e+09,'{"what":"stood_by","lease":"f4dad9a73fc2","session_id":"sess_1aaee896ed5a463c989f3e34","model":"gpt-realtime-2.1","transcription_model":null,"gap_seconds":2.873}');
CREATE INDEX ix_openai_realtime_call_state ON openai_realtime_call (line, state, received_at);
CREATE INDEX ix_openai_realtime_call_claimant ON openai_realtime_call (line, claimed_by);
CREATE INDEX ix_openai_realtime_call_hangup ON openai_realtime_call (state, hangup_at);
CREATE INDEX ix_openai_realtime_call_expiry ON openai_realtime_call (state, expires_at);
CREATE INDEX ix_openai_realtime_conversation_saved ON openai_realtime_conversation (saved_at);
CREATE INDEX ix_openai_realtime_call_received ON openai_realtime_call (received_at);
CREATE INDEX ix_openai_realtime_attempt_call ON openai_realtime_attempt (line, call_id);
CREATE INDEX ix_openai_realtime_attempt_correlation ON openai_realtime_attempt (line, correlation_id);
CREATE INDEX ix_openai_realtime_attempt_created ON openai_realtime_attempt (created_at);
CREATE INDEX ix_openai_realtime_call_end_due ON openai_realtime_call (state, end_due_at);
CREATE INDEX ix_openai_realtime_conversation_finished ON openai_realtime_conversation (finished_at);
CREATE INDEX ix_openai_realtime_run_start_started ON openai_realtime_run_start (first_started_at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('openai_realtime_feed',63);
INSERT INTO "sqlite_sequence" VALUES('openai_realtime_attempt',8);
COMMIT;
